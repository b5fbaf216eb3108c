package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestSegmentsThatAreRead: --types gives what logits of the same folder takes: segments for BERT, zeros for DistilBERT.
func TestSegmentsThatAreRead(t *testing.T) {
	for family, want := range map[string][]int{"bert-relu": {0, 0, 0, 1, 1}, "distilbert": {0, 0, 0, 0, 0}} {
		t.Run(family, func(t *testing.T) {
			dir := t.TempDir()
			copyFolder(t, dir, filepath.Join("../../models/testdata/micro", family))
			if err := os.WriteFile(filepath.Join(dir, "vocab.txt"), []byte("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			pairs := filepath.Join(dir, "pairs.tsv")
			if err := os.WriteFile(pairs, []byte("a\tb\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			line := succeed(t, "tokenize", "--model", dir, "--pair", "--types", pairs)
			var row struct{ IDs, Types []int }
			if err := json.Unmarshal([]byte(line), &row); err != nil || !slices.Equal(row.Types, want) {
				t.Errorf("%s (%v), want types %v", line, err, want)
			}
			rows := filepath.Join(dir, "rows.jsonl")
			if err := os.WriteFile(rows, []byte(line), 0o600); err != nil {
				t.Fatal(err)
			}
			succeed(t, "logits", "--model", dir, "--ids", rows, "--json")
		})
	}
}
