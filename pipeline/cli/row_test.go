package cli

import (
	"encoding/json"
	"testing"
)

// FuzzParseRow: a row is a list of ids, or an object of ids and types; its ids come out as they stand there.
func FuzzParseRow(f *testing.F) {
	for _, text := range []string{"[0,5,2]", `{"ids":[0,2],"types":[0,0]}`, "[]", "[1.5]", `{"ids":[1],"x":1}`, "[9223372036854775808]", "null", "[[1]]", " [1] x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, line string) {
		ids, _, err := parseRow(line)
		var want []int
		if err == nil && json.Unmarshal([]byte(line), &want) == nil && len(want) != len(ids) {
			t.Errorf("%q is read as %v", line, ids)
		}
	})
}
