package bench

import (
	"bytes"
	"strings"
	"testing"
)

// TestPieces: the optimiser costs something beside the stream, and mixed adapters beside a single one.
func TestPieces(t *testing.T) {
	optimiser, err := adamWPiece(1_000_000)
	if err != nil || optimiser.Value <= 0 {
		t.Errorf("%+v (%v)", optimiser, err)
	}
	mix, err := mixPiece(t.Context(), "demo", 3, 2, 8, 2)
	if err != nil || mix.Value <= 0 {
		t.Errorf("%+v (%v)", mix, err)
	}
	var text bytes.Buffer
	if err := WritePieces(&text, []Piece{optimiser, mix}); err != nil || strings.Count(text.String(), "\n") != 4 {
		t.Errorf("printed %q (%v)", &text, err)
	}
}

// TestGrowth: there is one line for each power of ten, and turns have as many tokens at any number of them.
func TestGrowth(t *testing.T) {
	all, err := MeasureGrowth(t.Context(), dialogues(t), 2, 100)
	if err != nil || len(all) != 2 || all[1].Turns != 100 || all[0].Tokens < 10*100 || all[1].Tokens < 5*all[0].Tokens || all[1].Tokens > 20*all[0].Tokens {
		t.Fatalf("%+v (%v)", all, err)
	}
	if all[0].Training <= all[0].Scoring || all[1].Scoring <= 0 {
		t.Errorf("training costs no more than scoring: %+v", all)
	}
	var text bytes.Buffer
	if err := WriteGrowth(&text, all); err != nil || strings.Count(text.String(), "\n") != 4 {
		t.Errorf("printed %q (%v)", &text, err)
	}
}

// TestCorpus: the first text of the file is what follows the first line's number, and a second pass gives as many tokens.
func TestCorpus(t *testing.T) {
	c := corpus{data: dialogues(t)}
	_, tokens, err := c.encode()
	if err != nil {
		t.Fatal(err)
	}
	_, again, err := c.encode()
	if err != nil || again != tokens || len(c.texts) < 100_000 || !strings.HasPrefix(c.texts[0], "your persona: ") {
		t.Errorf("%d tokens, then %d, of %d texts, the first %q (%v)", tokens, again, len(c.texts), c.texts[0], err)
	}
}
