package kernels_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"metalora/onnx"
	"metalora/onnx/kernels"
	"metalora/onnx/ort"
	"metalora/onnx/ort/orttest"
)

// packedAttention is attention and its gradient by operators of ours, over rows that are padded or packed.
type packedAttention struct {
	heads, width          int
	single, kept, queries bool // one query a row; a mask of dropout; a mask for each query
}

// model reads rows as they lie: 0 padded, 1 packed, 2 packed with one query each.
func (a packedAttention) model(lie int64) *onnx.Model {
	b := onnx.NewBuilder(&onnx.Graph{Name: "packed attention"})
	for _, name := range []string{"dy", "q", "k", "v"} {
		b.Input(name, onnx.Float, name, a.heads*a.width)
	}
	b.Input("mask", onnx.Float, "rows", 1, "any", "length")
	kept, starts := "", ""
	if a.kept {
		kept = b.Input("kept", onnx.Bool, "rows", a.heads, "queries", "length")
	}
	if lie > 0 {
		starts = b.Input(kernels.Starts, onnx.Int64, "starts")
	}
	attrs := []onnx.Attr{onnx.IntAttr("heads", int64(a.heads)), onnx.FloatAttr("scale", 0.3), onnx.FloatAttr("factor", 1.25), onnx.IntAttr("packed", lie)}
	b.Graph.Nodes = []*onnx.Node{
		{Domain: kernels.Domain, Op: "Attention", Inputs: []string{"q", "k", "v", "mask", kept, starts}, Outputs: []string{"y", "saved"}, Attrs: attrs},
		{Domain: kernels.Domain, Op: "AttentionGrad", Inputs: []string{"dy", "q", "k", "v", "mask", "saved", kept, starts}, Outputs: []string{"dq", "dk", "dv"}, Attrs: attrs},
	}
	for _, name := range []string{"y", "dq", "dk", "dv"} {
		b.Output(name, onnx.Float, name, a.heads*a.width)
	}
	m := onnx.NewModel(b.Graph)
	m.Opsets[kernels.Domain] = 1
	return m
}

// TestPackedAttention compares rows that lie packed with the same ones padded, and one thread with two: bit for bit.
func TestPackedAttention(t *testing.T) {
	skipWithout(t)
	for _, lanes := range []int{16, 8, 4} {
		kernels.LimitLanes(lanes)
		defer kernels.LimitLanes(16)
		r := rand.New(rand.NewPCG(21, uint64(lanes)))
		for _, a := range []packedAttention{
			{heads: 3, width: 32, kept: true},
			{heads: 2, width: 5, queries: true},
			{heads: 2, width: 64, kept: true, queries: true},
			{heads: 1, width: 33},
			{heads: 3, width: 32, kept: true, single: true},
			{heads: 2, width: 7, single: true},
		} {
			for _, longest := range []int{1, 2, 40, 300, 600} {
				lengths := []int{longest}
				for range r.IntN(4) {
					lengths = append(lengths, 1+r.IntN(longest))
				}
				r.Shuffle(len(lengths), func(i, j int) { lengths[i], lengths[j] = lengths[j], lengths[i] })
				t.Run(fmt.Sprint(lanes, a, lengths), func(t *testing.T) { a.compare(t, r, lengths) })
			}
		}
	}
}

func (a packedAttention) compare(t *testing.T, r *rand.Rand, lengths []int) {
	longest, hidden := slices.Max(lengths), a.heads*a.width
	padded, packed := a.feed(r, t, lengths)
	lie := int64(1)
	if a.single {
		lie = 2
	}
	want := a.run(t, a.model(0), 2, padded)
	got := a.run(t, a.model(lie), 2, packed)
	alone := a.run(t, a.model(lie), 1, packed)
	for name := range want {
		near(t, got[name], alone[name], 0)
		whole := want[name]
		if !a.single || name == "dk" || name == "dv" {
			whole = nil
			for row, n := range lengths {
				whole = append(whole, want[name][row*longest*hidden:(row*longest+n)*hidden]...)
			}
		}
		largest := float32(1)
		for _, x := range whole {
			largest = max(largest, x, -x)
		}
		near(t, got[name], whole, 4e-6*float64(largest))
	}
}

func (a packedAttention) run(t *testing.T, m *onnx.Model, threads int, in map[string]*ort.Tensor) map[string][]float32 {
	t.Helper()
	s, err := ort.OpenModel(m, ort.Options{Threads: threads, Kernels: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return fetch(t, s, in)
}

// feed draws rows of those lengths, padded and packed. What stands in padding is large, but the mask hides it and nothing comes
// from its queries.
func (a packedAttention) feed(r *rand.Rand, t *testing.T, lengths []int) (padded, packed map[string]*ort.Tensor) {
	t.Helper()
	rows, longest, hidden := len(lengths), slices.Max(lengths), a.heads*a.width
	padded, packed = map[string]*ort.Tensor{}, map[string]*ort.Tensor{}
	for _, name := range []string{"dy", "q", "k", "v"} {
		var whole, tokens []float32
		for _, n := range lengths {
			places := longest
			if a.single && (name == "dy" || name == "q") {
				n, places = 1, 1
			}
			for i := range places * hidden {
				x := float32(r.NormFloat64())
				switch {
				case i < n*hidden:
					tokens = append(tokens, x)
				case name == "dy":
					x = 0
				default:
					x *= 100
				}
				whole = append(whole, x)
			}
		}
		padded[name] = orttest.Tensor(t, []int{len(whole) / hidden, hidden}, whole)
		packed[name] = orttest.Tensor(t, []int{len(tokens) / hidden, hidden}, tokens)
	}
	queries, starts := longest, make([]int64, rows)
	if a.single {
		queries = 1
	}
	for row := 1; row < rows; row++ {
		starts[row] = starts[row-1] + int64(lengths[row-1])
	}
	packed[kernels.Starts] = orttest.Tensor(t, []int{rows}, starts)
	lines := 1
	if a.queries {
		lines = queries
	}
	var mask []float32
	for _, n := range lengths {
		for range lines {
			for i := range longest {
				x := float32(0)
				if i >= n || i > 0 && r.IntN(4) == 0 {
					x = -3.4028234663852886e38
				}
				mask = append(mask, x)
			}
		}
	}
	kept := make([]bool, rows*a.heads*queries*longest)
	for i := range kept {
		kept[i] = r.IntN(10) > 0
	}
	for _, in := range []map[string]*ort.Tensor{padded, packed} {
		in["mask"] = orttest.Tensor(t, []int{rows, 1, lines, longest}, mask)
		if a.kept {
			in["kept"] = orttest.Tensor(t, []int{rows, a.heads, queries, longest}, kept)
		}
	}
	return padded, packed
}

// TestPackedAttentionRefuses: rows that do not begin where tokens are, or are longer than the mask, are errors.
func TestPackedAttentionRefuses(t *testing.T) {
	skipWithout(t)
	r := rand.New(rand.NewPCG(23, 24))
	for _, c := range []struct {
		starts  []int64
		queries int
		lie     int64
		want    string
	}{
		{[]int64{0, 3}, 5, 1, ""},
		{[]int64{0, 3}, 2, 2, ""},
		{[]int64{0, 3}, 2, 1, "2 queries of 2 rows, which have 5 tokens"},
		{[]int64{0, 3}, 5, 2, "5 queries of 2 rows, which have 5 tokens"},
		{[]int64{0}, 5, 1, "1 rows begin, want 2"},
		{[]int64{0, 3, 4}, 5, 1, "3 rows begin, want 2"},
		{[]int64{1, 3}, 5, 1, "row 0 is [1, 3) of 5 tokens, want at most 3, the first from 0"},
		{[]int64{0, 5}, 5, 1, "row 0 is [0, 5)"},
		{[]int64{0, 0}, 5, 1, "row 0 is [0, 0)"},
		{[]int64{0, 1}, 5, 1, "row 1 is [1, 5)"},
		{[]int64{0, -1}, 5, 1, "row 0 is [0, -1)"},
		{[]int64{0, 1 << 62}, 5, 1, "row 0 is [0, 4611686018427387904)"},
		{[]int64{math.MinInt64, 1}, 5, 1, "row 0 is [-9223372036854775808, 1)"},
		{nil, 5, 1, "does not say where they begin"},
	} {
		t.Run(fmt.Sprint(c.starts, c.queries, c.lie), func(t *testing.T) {
			a := packedAttention{heads: 2, width: 4}
			m := a.model(c.lie)
			in := map[string]*ort.Tensor{"dy": draw(r, t, c.queries, 8), "q": draw(r, t, c.queries, 8), "k": draw(r, t, 5, 8), "v": draw(r, t, 5, 8),
				"mask": orttest.Tensor(t, []int{2, 1, 1, 3}, make([]float32, 6)), kernels.Starts: orttest.Tensor(t, []int{len(c.starts)}, c.starts)}
			if c.starts == nil {
				m = a.model(0)
				delete(in, kernels.Starts)
				for _, n := range m.Graph.Nodes {
					n.Attrs[3] = onnx.IntAttr("packed", 1)
				}
			}
			s, err := ort.OpenModel(m, ort.Options{Threads: 2, Kernels: true})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			err = s.Run(in, map[string]*ort.Tensor{"y": nil, "dq": nil})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
