package convai2

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/pipeline/golden"
)

// shared finds a file of the data that lies beside the project. Where it is missing, tests on the excerpts in testdata
// cover the same ground, so a checkout of the project alone skips; CI has the data and fails.
func shared(t *testing.T, path string) string {
	t.Helper()
	full := filepath.Join("..", "..", "shared", path)
	if _, err := os.Stat(full); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("../shared/%s is missing beside the project: %v", path, err)
		}
		t.Skipf("../shared/%s is not beside the project", path)
	}
	return full
}

func readShared(t *testing.T, name string) []*Dialogue {
	t.Helper()
	ds, err := ReadFile(shared(t, "data/convai2/"+name))
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

func sharedMap(t *testing.T, name string) *PersonaMap {
	t.Helper()
	pm, err := LoadPersonaMap(shared(t, "data/convai2/"+name))
	if err != nil {
		t.Fatal(err)
	}
	return pm
}

// unpacked is the content of a gzip file in testdata.
func unpacked(t *testing.T, name string) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func readPacked(t *testing.T, name string) []*Dialogue {
	t.Helper()
	return parse(t, string(unpacked(t, name)))
}

func packedMap(t *testing.T) *PersonaMap {
	t.Helper()
	pm, err := ReadPersonaMap(bytes.NewReader(unpacked(t, "valid_persona_map.json.gz")))
	if err != nil {
		t.Fatal(err)
	}
	return pm
}

// parse reads dialogues from a text that has to be right.
func parse(t *testing.T, text string) []*Dialogue {
	t.Helper()
	var ds []*Dialogue
	for d, err := range Dialogues(strings.NewReader(text), "test") {
		if err != nil {
			t.Fatal(err)
		}
		ds = append(ds, d)
	}
	return ds
}

type referenceSample struct {
	Task    int `json:"task"`
	Cluster int `json:"cluster"`
	Sample
}

func readSamples(t *testing.T, path string) []referenceSample {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []referenceSample
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, MaxLine)
	for lines.Scan() {
		var s referenceSample
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// TestExcerpts checks that testdata is what the shared files hold; -update writes it.
func TestExcerpts(t *testing.T) {
	samples := readSamples(t, shared(t, "reference/samples.jsonl"))
	wanted := map[int]bool{}
	var lines strings.Builder
	for _, s := range samples {
		wanted[s.Dialogue] = true
		if err := json.NewEncoder(&lines).Encode(s); err != nil {
			t.Fatal(err)
		}
	}
	excerpt, skeleton := excerpts(content(t, shared(t, "data/convai2/valid_self_original.txt")), wanted)
	personas := content(t, shared(t, "data/convai2/valid_persona_map.json"))
	tasks := content(t, shared(t, "reference/tasks.json"))
	if golden.Updating() {
		pack(t, "valid_excerpt.txt.gz", []byte(excerpt))
		pack(t, "valid_skeleton.txt.gz", []byte(skeleton))
		pack(t, "valid_persona_map.json.gz", []byte(personas))
		write(t, "reference_samples.jsonl", []byte(lines.String()))
		write(t, "reference_tasks.json", []byte(tasks))
	}
	equal(t, string(unpacked(t, "valid_excerpt.txt.gz")), excerpt)
	equal(t, string(unpacked(t, "valid_skeleton.txt.gz")), skeleton)
	equal(t, string(unpacked(t, "valid_persona_map.json.gz")), personas)
	equal(t, readSamples(t, "testdata/reference_samples.jsonl"), samples)
	equal(t, content(t, "testdata/reference_tasks.json"), tasks)
}

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// excerpts are the wanted dialogues of a file as they are, and the whole file without what is said in it.
func excerpts(text string, wanted map[int]bool) (excerpt, skeleton string) {
	var some, all strings.Builder
	dialogue := -1
	for line := range strings.Lines(text) {
		number, _, _ := strings.Cut(line, " ")
		if number == "1" {
			dialogue++
		}
		if wanted[dialogue] {
			some.WriteString(line)
		}
		if strings.Contains(line, "\t") {
			line = fmt.Sprintf("%s p\ts\n", number)
		}
		all.WriteString(line)
	}
	return some.String(), all.String()
}

func pack(t *testing.T, name string, data []byte) {
	t.Helper()
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, name, packed.Bytes())
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join("testdata", name), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func equal[T any](t *testing.T, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		if len(diff) > 2000 {
			diff = diff[:2000] + "…"
		}
		t.Errorf("differs (-want +got):\n%s", diff)
	}
}
