package convai2

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNormalise(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"I'm a stunt double.", "i am a stunt double"},
		{"i won't, can't and don't", "i will not cannot and do not"},
		{"i can not", "i cannot"},
		{"they're what I've; she'll, he'd, it's", "they are what i have she will he would it is"},
		{"  --20 books/year!! ", "20 books year"},
		{"café", "caf"},
		{"won'ts", "will nots"},
		{"'s 'S", "is is"},
		{"...", ""},
	} {
		t.Run(c.text, func(t *testing.T) { equal(t, Normalise(c.text), c.want) })
	}
}

func TestLiteral(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"i ski.", "i ski"}, {"i ski .", "i ski"}, {"i ski", "i sk"}, {"i like: skis.", "i lik"}, {"é", ""}, {":", ""},
	} {
		t.Run(c.text, func(t *testing.T) { equal(t, literal(c.text), c.want) })
	}
}

func TestReadPersonaMapErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "byte 0: unexpected end of JSON input"},
		{"cut", `[[["a"`, "byte 6: unexpected end of JSON input"},
		{"wrong shape", `[["a"]]`, "byte 5: json: cannot unmarshal string into Go value of type []string"},
		{"trailing", `[[["a"]]] x`, "byte 11: invalid character 'x' after top-level value"},
		{"null", `null`, "no cluster in it"},
		{"no cluster", `[]`, "no cluster in it"},
		{"no set", `[[["a"]],[]]`, "cluster 1 has no sentence set"},
		{"no sentence", `[[["a"],[]]]`, "cluster 0, set 1: no sentence in it"},
		{"null sentence", `[[["a",null]]]`, "cluster 0, set 0: sentence 1 is empty or has a tab or line break"},
		{"line break", `[[["a\nb"]]]`, "cluster 0, set 0: sentence 0 is empty or has a tab or line break"},
		{"in two clusters", `[[["i'm a","b"]],[["B","i am a"]]]`, "cluster 1, set 0: cluster 0 has the same sentences"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ReadPersonaMap(strings.NewReader(c.text))
			wantError(t, err, c.want)
			path := filepath.Join(t.TempDir(), "map.json")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = LoadPersonaMap(path)
			wantError(t, err, "reading persona map "+path+": "+c.want)
		})
	}
	if _, err := LoadPersonaMap(filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("a missing file was read")
	}
}

// blanks is a file of blanks without end.
type blanks struct{}

func (blanks) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestReadPersonaMapIsBounded(t *testing.T) {
	_, err := ReadPersonaMap(blanks{})
	wantError(t, err, "larger than 16777216 bytes")
}

func TestNewPersonaMap(t *testing.T) {
	pm, err := NewPersonaMap(parse(t, made))
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if _, err := pm.WriteTo(&text); err != nil {
		t.Fatal(err)
	}
	equal(t, text.String(), `[[["I ski","i can't cook","i'm tall"]],
 [["i am tall","i cannot cook","i read","i ski"]],
 [["alone"]]]
`)
	again, err := ReadPersonaMap(&text)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, again.clusters, pm.clusters)
	equal(t, clusters(t, parse(t, made), pm, Clean, MatchExpand, 1), clusters(t, parse(t, made), nil, Clean, MatchExpand, 1))
	_, err = NewPersonaMap(nil)
	wantError(t, err, "making a persona map: no dialogue has persona sentences")
}

func FuzzReadPersonaMap(f *testing.F) {
	f.Add([]byte(`[[["a","b"],["c"]],[["d"]]]`))
	f.Add([]byte(`[[[""]]]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		pm, err := ReadPersonaMap(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, m := range []Match{MatchExpand, MatchLiteral, MatchSubset} {
			find, err := m.matcher(pm)
			if err != nil {
				t.Fatal(err)
			}
			if c := find(&Dialogue{Persona: pm.clusters[0][0]}); m == MatchExpand && c != 0 {
				t.Errorf("the first set is found in cluster %d", c)
			}
		}
	})
}
