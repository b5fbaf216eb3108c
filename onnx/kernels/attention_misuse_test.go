package kernels_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"metalora/onnx"
	"metalora/onnx/kernels"
	"metalora/onnx/ort"
	"metalora/onnx/ort/orttest"
)

// TestAttentionRefuses: shapes that do not fit are errors of the operators.
func TestAttentionRefuses(t *testing.T) {
	skipWithout(t)
	r := rand.New(rand.NewPCG(7, 8))
	good := [][]int{{6, 8}, {6, 8}, {6, 8}, {6, 8}, {2, 1, 1, 3}, {2, 2, 3, 2}, {2, 2, 3, 3}}
	for _, c := range []struct {
		input int // of AttentionGrad; Attention lacks the first, and the sixth
		shape []int
		heads int64
		want  string
	}{
		{0, []int{6, 8}, 2, ""},
		{0, []int{5, 8}, 2, "dimension 0 is 5 in input 0 and 6 in input 1"},
		{1, []int{7, 8}, 2, "7 queries are not as many for each of 2 rows"},
		{1, []int{6, 6}, 2, "queries have 6 elements and keys 8"},
		{1, []int{6, 0}, 2, "0 elements a token"},
		{1, []int{}, 2, "1 elements a token, want a multiple of 2 heads"},
		{2, []int{6, 4}, 2, "dimension 1 is 4 in input"},
		{3, []int{6}, 2, "has rank 2, input"},
		{2, []int{4, 8}, 2, "dimension 0 is 4 in input"},
		{4, []int{2, 3}, 2, "has rank 2, want 4"},
		{4, []int{2, 2, 1, 3}, 2, "the mask has 2 heads, want 1"},
		{4, []int{2, 1, 2, 3}, 2, "the mask has 2 queries, want 1 or 3"},
		{4, []int{2, 1, 1, 4}, 2, "6 keys, want 4 in each of 2 rows"},
		{4, []int{4, 1, 1, 3}, 2, "6 queries are not as many for each of 4 rows"},
		{4, []int{0, 1, 1, 3}, 2, "6 queries are not as many for each of 0 rows"},
		{5, []int{2, 2, 3, 1}, 2, "dimension 3 of input 5 is 1, want 2"},
		{5, []int{2, 2, 3}, 2, "input 5 has rank 3, want 4"},
		{6, []int{2, 2, 3, 4}, 2, "is 4, want 3"},
		{6, []int{2, 1, 3, 3}, 2, "is 1, want 2"},
		{0, []int{6, 8}, 3, "8 elements a token, want a multiple of 3 heads"},
		{0, []int{6, 8}, 0, "multiple of 0 heads"},
		{0, []int{6, 8}, -2, "multiple of -2 heads"},
	} {
		for _, op := range []string{"Attention", "AttentionGrad"} {
			t.Run(fmt.Sprint(op, c.input, c.shape, c.heads), func(t *testing.T) {
				shapes := slices.Clone(good)
				shapes[c.input] = c.shape
				want := c.want
				if op == "Attention" {
					shapes = slices.Concat(shapes[1:5], shapes[6:])
					if (c.input == 0 || c.input == 5) && c.heads == 2 {
						want = ""
					}
				}
				err := runAttention(r, t, op, shapes, c.heads)
				switch {
				case want == "" && err != nil:
					t.Error(err)
				case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
					t.Errorf("got %v, want %q", err, want)
				}
			})
		}
	}
}

// TestAttentionEmpty: nothing to look at, or nothing that looks, gives zeros or nothing.
func TestAttentionEmpty(t *testing.T) {
	skipWithout(t)
	r := rand.New(rand.NewPCG(9, 10))
	for _, shapes := range [][][]int{
		{{0, 8}, {0, 8}, {0, 8}, {0, 8}, {0, 1, 1, 3}, {0, 2, 0, 2}, {0, 2, 0, 3}},
		{{6, 8}, {6, 8}, {0, 8}, {0, 8}, {2, 1, 1, 0}, {2, 2, 3, 2}, {2, 2, 3, 0}},
		{{0, 8}, {0, 8}, {6, 8}, {6, 8}, {2, 1, 1, 3}, {2, 2, 0, 2}, {2, 2, 0, 3}},
	} {
		t.Run(fmt.Sprint(shapes), func(t *testing.T) {
			if err := runAttention(r, t, "Attention", slices.Concat(shapes[1:5], shapes[6:]), 2); err != nil {
				t.Error(err)
			}
			if err := runAttention(r, t, "AttentionGrad", shapes, 2); err != nil {
				t.Error(err)
			}
		})
	}
}

// runAttention runs one operator on inputs of shapes, the last one booleans.
func runAttention(r *rand.Rand, t *testing.T, op string, shapes [][]int, heads int64) error {
	t.Helper()
	g, in := &onnx.Graph{Name: op}, map[string]*ort.Tensor{}
	n := &onnx.Node{Domain: kernels.Domain, Op: op, Outputs: []string{"y"}, Attrs: []onnx.Attr{onnx.IntAttr("heads", heads), onnx.FloatAttr("scale", 1), onnx.FloatAttr("factor", 1), onnx.IntAttr("packed", 0)}}
	for i, shape := range shapes {
		name := fmt.Sprint("in", i)
		n.Inputs = append(n.Inputs, name)
		v := onnx.ValueInfo{Name: name, Type: onnx.Float}
		if in[name] = draw(r, t, shape...); i == len(shapes)-1 {
			size := 1
			for _, d := range shape {
				size *= d
			}
			v.Type, in[name] = onnx.Bool, orttest.Tensor(t, shape, make([]bool, size))
		}
		g.Inputs = append(g.Inputs, v)
	}
	g.Nodes, g.Outputs = []*onnx.Node{n}, []onnx.ValueInfo{{Name: "y", Type: onnx.Float}}
	m := onnx.NewModel(g)
	m.Opsets[kernels.Domain] = 1
	_, _, err := run(t, m, ort.Options{Threads: 2, Kernels: true}, in)
	return err
}
