package bench

import (
	"bytes"
	"strings"
	"testing"
)

// TestPieces: the optimiser costs something beside the stream, mixed adapters beside a single one, and the growth has one line
// for each power of ten.
func TestPieces(t *testing.T) {
	optimiser, err := adamWPiece(1_000_000)
	if err != nil || optimiser.Value <= 0 {
		t.Errorf("%+v (%v)", optimiser, err)
	}
	growth, err := growthPieces(t.Context(), dialogues(t), 2, 10)
	if err != nil || len(growth) != 1 || growth[0].Value <= 0 {
		t.Errorf("%+v (%v)", growth, err)
	}
	mix, err := mixPiece(t.Context(), "demo", 3, 2, 8, 2)
	if err != nil || mix.Value <= 0 {
		t.Errorf("%+v (%v)", mix, err)
	}
	var text bytes.Buffer
	if err := WritePieces(&text, append(growth, optimiser, mix)); err != nil || strings.Count(text.String(), "\n") != 5 {
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
