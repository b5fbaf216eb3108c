package tokenize

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNewBatch(t *testing.T) {
	for name, c := range map[string]struct {
		rows [][]int
		want Batch
	}{
		"padded": {[][]int{{0, 5, 2}, {0, 2}}, Batch{
			IDs: []int64{0, 5, 2, 0, 2, 1}, Mask: []int64{1, 1, 1, 1, 1, 0}, Types: make([]int64, 6), Rows: 2, Length: 3, Tokens: 5}},
		"a pad id among the tokens": {[][]int{{0, 1}}, Batch{IDs: []int64{0, 1}, Mask: []int64{1, 1}, Types: make([]int64, 2), Rows: 1, Length: 2, Tokens: 2}},
		"nothing":                   {nil, Batch{IDs: []int64{}, Mask: []int64{}, Types: []int64{}}},
		"empty rows":                {[][]int{{}, {}}, Batch{IDs: []int64{}, Mask: []int64{}, Types: []int64{}, Rows: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, NewBatch(c.rows, 1)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// rows takes a batch apart again.
func rows(b Batch) (out [][]int) {
	for r := range b.Rows {
		var row []int
		for i := r * b.Length; i < (r+1)*b.Length; i++ {
			if b.Mask[i] == 1 {
				row = append(row, int(b.IDs[i]))
			}
		}
		out = append(out, row)
	}
	return out
}

// TestTurnIsPairs: without a limit a turn's rows are the golden pairs.
func TestTurnIsPairs(t *testing.T) {
	tok := roberta(t)
	candidates := []string{"", "i am a farmer .", "no"}
	batch, err := tok.Turn("what do you do ?", candidates, 0)
	if err != nil {
		t.Fatal(err)
	}
	got, tokens := rows(batch), 0
	for i, candidate := range candidates {
		want, _ := tok.Pair("what do you do ?", candidate)
		tokens += len(want)
		if diff := cmp.Diff(want, got[i]); diff != "" {
			t.Errorf("row %d (-want +got):\n%s", i, diff)
		}
	}
	if batch.Tokens != tokens || batch.Cut != 0 || batch.Length != len(got[1]) {
		t.Errorf("Tokens %d, Cut %d, Length %d; want %d, 0, %d", batch.Tokens, batch.Cut, batch.Length, tokens, len(got[1]))
	}
}

func TestTurnCuts(t *testing.T) {
	tok := roberta(t)
	context, long := "one two three four five", "six seven eight"
	before, after := tok.Encode(context), tok.Encode(long)
	whole := len(before) + len(after) + 4
	for name, c := range map[string]struct {
		limit, kept, cut int // tokens of the context in the long row; rows cut
	}{
		"no limit":              {0, len(before), 0},
		"just fits":             {whole, len(before), 0},
		"one over":              {whole - 1, len(before) - 1, 1},
		"both rows over":        {whole - 3, len(before) - 3, 2},
		"nothing of it is left": {len(after) + 4, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			batch, err := tok.Turn(context, []string{"a b", long}, c.limit)
			if err != nil {
				t.Fatal(err)
			}
			want := slices.Concat([]int{0}, before[len(before)-c.kept:], []int{2, 0}, after, []int{2})
			if diff := cmp.Diff(want, rows(batch)[1]); diff != "" {
				t.Errorf("long row (-want +got):\n%s", diff)
			}
			if batch.Cut != c.cut {
				t.Errorf("Cut %d, want %d", batch.Cut, c.cut)
			}
			if c.limit > 0 && batch.Length > c.limit {
				t.Errorf("Length %d passes the limit %d", batch.Length, c.limit)
			}
		})
	}
}

func TestTurnErrors(t *testing.T) {
	tok := roberta(t)
	for name, c := range map[string]struct {
		candidates []string
		limit      int
		want       string
	}{
		"a candidate too long": {[]string{"a", "six seven eight nine"}, 7, "candidate 1 has 4 tokens; with 4 special ones the limit of 7 is passed"},
		"no candidates":        {nil, 0, "no candidates"},
		"a negative limit":     {[]string{"a"}, -1, "-1 tokens"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tok.Turn("one", c.candidates, c.limit)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}
