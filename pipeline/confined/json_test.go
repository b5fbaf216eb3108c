package confined

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestCheckJSON(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{}`, ""},
		{`{"a": [1, {"a": 2}, "b:,[{"], "b" : "a"}`, ""},
		{`["a","a"]`, ""},
		{`{"a":1,"b":{"c":1,"c":2}}`, `key "c" comes twice`},
		{`{"a":1,"\u0061":2}`, `key "a" comes twice`},
		{`{"a"` + strings.Repeat(" ", 200) + `:1,"a":2}`, `key "a" comes twice`},
		{strings.Repeat("[", 101), "nested deeper than 100"},
		{`[` + strings.Repeat("1,", 150) + `1]`, "more than 150 entries"},
		{strings.Repeat("[]", 151), "more than 150 entries"},
		{"{\"a\xff\":1}", "byte 3: it is no UTF-8"},
		{`{"a`, ""}, // no JSON: the decoder says so
		{`"\`, ""},
		{`]]]`, ""},
	} {
		err := CheckJSON([]byte(c.text), 150)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%.60s: error %v, want %q", c.text, err, c.want)
		}
	}
}

func TestCount(t *testing.T) {
	for text, want := range map[string]int{
		`[]`: 0, ` { } `: 0, `[1]`: 1, `[[1,2],[3]]`: 2, `{"a,b":[1,2],"c":{}}`: 2, `["\"",","]`: 2, `[[]]`: 1, `[""]`: 1,
	} {
		if got := Count([]byte(text)); got != want {
			t.Errorf("%s: %d entries, want %d", text, got, want)
		}
	}
}

// FuzzCheckJSON compares with the decoder of the standard library what has a key twice, and how many entries a list has.
func FuzzCheckJSON(f *testing.F) {
	for _, text := range []string{`{"a":1,"b":[{}]}`, `{"a":1,"a":2}`, `[1,[2],"]"]`, `{"\u0061":1,"a":2}`, `[`, `"\`, ` {} `, `[[[]]]`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		err := CheckJSON(data, 1000)
		if !json.Valid(data) {
			return
		}
		twice, tooMuch := twice(t, data)
		if err == nil && twice {
			t.Errorf("%q has a key twice", data)
		}
		if err != nil && !twice && !tooMuch && !strings.Contains(err.Error(), "UTF-8") {
			t.Errorf("%q: %v", data, err)
		}
		var list []json.RawMessage
		if json.Unmarshal(data, &list) == nil && list != nil && Count(data) != len(list) {
			t.Errorf("%q: %d entries, want %d", data, Count(data), len(list))
		}
	})
}

// twice tells whether an object of a JSON text has a key twice, and whether the text is larger than the fuzz test's bounds.
func twice(t *testing.T, data []byte) (found, tooMuch bool) {
	t.Helper()
	var open []map[string]bool // nil for lists
	key := false
	n := 0
	for d := json.NewDecoder(bytes.NewReader(data)); ; n++ {
		token, err := d.Token()
		if err != nil {
			return found, tooMuch || n > 1000
		}
		top := len(open) - 1
		switch text, isText := token.(string); {
		case token == json.Delim('{'):
			open = append(open, map[string]bool{})
		case token == json.Delim('['):
			open = append(open, nil)
		case token == json.Delim('}'), token == json.Delim(']'):
			open = open[:top]
		case isText && key:
			found = found || open[top][text]
			open[top][text] = true
			key = false
			continue
		}
		tooMuch = tooMuch || len(open) > maxNesting
		key = len(open) > 0 && open[len(open)-1] != nil
	}
}
