package train

import (
	"math"
	"slices"
	"testing"

	"metalora/pipeline/rng"
	"metalora/tokenize"
)

// TestChunks parts batches of random lengths: every row is in one chunk with its own tokens, chunks have nearly the size
// asked for, and few of their tokens are padding.
func TestChunks(t *testing.T) {
	s := rng.New(1, "chunks")
	for range 200 {
		rows := make([][]int, 1+s.IntN(30))
		context := 1 + s.IntN(200)
		for i := range rows {
			for range context + 1 + s.IntN(40) {
				rows[i] = append(rows[i], 2+s.IntN(100))
			}
		}
		batch, size := tokenize.NewBatch(rows, 1), 100+s.IntN(2000)
		seen, tokens := make([]bool, len(rows)), 0
		for _, c := range chunks(batch, size) {
			tokens += c.Tokens
			for i, row := range c.rows {
				if seen[row] {
					t.Fatalf("row %d is in two chunks", row)
				}
				seen[row] = true
				for at, id := range c.IDs[i*c.Length : (i+1)*c.Length] {
					if want := batch.IDs[row*batch.Length+at]; id != want || c.Mask[i*c.Length+at] != batch.Mask[row*batch.Length+at] {
						t.Fatalf("row %d has %d at %d, want %d", row, id, at, want)
					}
				}
			}
			if longest := len(rows[c.rows[0]]); c.Length != max(longest, 1) && len(c.rows) < len(rows) {
				t.Errorf("a chunk is %d long, its longest row %d", c.Length, longest)
			}
			if c.Tokens > size+batch.Length {
				t.Errorf("a chunk of %d tokens, %d asked for", c.Tokens, size)
			}
		}
		if slices.Contains(seen, false) || tokens != batch.Tokens {
			t.Fatalf("%d tokens in the chunks, want %d; rows seen: %v", tokens, batch.Tokens, seen)
		}
	}
}

// TestChunkedTurnEqualsWhole compares a turn run in parts with the same turn in one run: loss, gradients and logits.
func TestChunkedTurnEqualsWhole(t *testing.T) {
	run := func(size int) (float64, *Set, []float32) {
		r := nanoRun(t, 0)
		r.Engine.chunk = size
		turn := &r.Tasks[0].Train[0]
		loss, err := r.Engine.Accumulate(t.Context(), turn, turn.Rows, nil, r.Sets(0)...)
		if err != nil {
			t.Fatal(err)
		}
		scorer := newEngine(t, Spec{Architecture: loadModel(t, "testdata/nano-roberta").Architecture, Threads: 2})
		scorer.chunk = size
		logits, err := scorer.Logits(t.Context(), turn.Batch, r.Sets(0)...)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(chunks(turn.Batch, size)); (n > 1) != (size < math.MaxInt32) {
			t.Fatalf("%d chunks of %d tokens", n, size)
		}
		return loss, r.Shared, logits
	}
	wantLoss, want, wantLogits := run(math.MaxInt32)
	gotLoss, got, gotLogits := run(20)
	if math.Abs(wantLoss-gotLoss) > 1e-6 {
		t.Errorf("loss %v, want %v", gotLoss, wantLoss)
	}
	for i := range wantLogits {
		if math.Abs(float64(wantLogits[i]-gotLogits[i])) > 1e-5 {
			t.Fatalf("logit %d: %v, want %v", i, gotLogits[i], wantLogits[i])
		}
	}
	for _, name := range want.Names() {
		whole, parts := want.params[name].gradient(), got.params[name].gradient()
		largest := 0.0
		for _, x := range whole {
			largest = max(largest, math.Abs(float64(x)))
		}
		for i := range whole {
			if d := math.Abs(float64(whole[i] - parts[i])); d > 1e-5*largest+1e-7 {
				t.Errorf("%s[%d]: %v, want %v", name, i, parts[i], whole[i])
				break
			}
		}
	}
}
