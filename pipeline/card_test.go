package pipeline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"metalora/adapters"
	"metalora/eval"
)

// TestCard: a card says what an adapter is, and whatever names a user chose, its front matter stays one YAML document.
func TestCard(t *testing.T) {
	dir := t.TempDir()
	c := card{base: "models/a: b # \"c\"\n---\nlicense: mit", task: "tune, lora-4", data: "my|dialogues.txt", licence: "cc-by-4.0",
		lora: adapters.LoRA{Rank: 4, Alpha: 16, Dropout: 0.1}, turns: 12, heldOut: eval.Metrics{Turns: 6, Accuracy: 0.5, Hits5: 0.75, MRR: 0.625, Chance: 0.05}}
	if err := c.write(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, cardFile))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.SplitN(string(text), "---\n", 2)
	end := strings.Index(parts[1], "\n---\n\n# ")
	if end < 0 {
		t.Fatalf("no front matter in\n%s", text)
	}
	var head cardHead
	if err := yaml.Unmarshal([]byte(parts[1][:end]), &head); err != nil {
		t.Fatal(err)
	}
	if head.BaseModel != c.base || head.Licence != "cc-by-4.0" || head.Library != "peft" || head.ModelIndex[0].Results[0].Metrics[0].Value != 0.5 {
		t.Errorf("%+v", head)
	}
	for _, want := range []string{"| rank, alpha, dropout | 4, 16, 0.1 |", `my\|dialogues.txt`, "| 50.0 %, 75.0 %, 0.625 |", "12 turns"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	c.licence = ""
	if !strings.Contains(c.text(), "not known") || c.head().Licence != "unknown" {
		t.Errorf("a licence that nobody gave is claimed:\n%s", c.text())
	}
}

// TestDataAndLicence: the licence of dialogues is said where it is known, and only there.
func TestDataAndLicence(t *testing.T) {
	c := Default()
	for valid, want := range map[string]string{"a/valid_self_original.txt": "cc-by-4.0", "convai2": "cc-by-4.0", "mine.txt": ""} {
		c.Data.Valid = valid
		if data, got := c.dataAndLicence(); got != want || !strings.Contains(data, filepath.Base(valid)) {
			t.Errorf("%s: %q, %q", valid, data, got)
		}
	}
}
