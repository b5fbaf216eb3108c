package onnx

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"
)

// FuzzInfer draws graphs of all operators with senseless inputs and attributes: there may be an error, never a panic.
func FuzzInfer(f *testing.F) {
	for seed := range 64 {
		data := make([]byte, 200)
		for i := range data {
			data[i] = byte(seed*7 + i*i*(seed+3) + i>>1)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := drawing{data: data, values: []string{"x", "v", "n", "s", ""}}
		g := d.graph()
		for len(g.Nodes) > 0 {
			if _, err := Infer(NewModel(g)); err == nil {
				return
			}
			g.Nodes = g.Nodes[:len(g.Nodes)-1] // the nodes before a conflict are looked at as well
		}
	})
}

// drawing takes choices from a string of bytes.
type drawing struct {
	data   []byte
	values []string
}

// below is the next choice among n.
func (d *drawing) below(n int) int {
	if len(d.data) == 0 {
		return 0
	}
	c := int(d.data[0]) % n
	d.data = d.data[1:]
	return c
}

func (d *drawing) integer() int64 {
	return []int64{0, 1, 2, 3, -1, -2, 7, 1 << 31, 1 << 62, -1 << 63}[d.below(10)]
}

func (d *drawing) integers() []int64 {
	list := []int64{}
	for range d.below(4) {
		list = append(list, d.integer())
	}
	return list
}

func (d *drawing) graph() *Graph {
	operators := slices.SortedFunc(maps.Keys(shapeRules), func(a, b operator) int {
		return cmp.Or(cmp.Compare(a.domain, b.domain), cmp.Compare(a.op, b.op))
	})
	v := Int64s([]int64{2}, d.integer(), d.integer())
	v.Name = "v"
	g := &Graph{
		Inputs:       []ValueInfo{{"x", Float, Dims("rows", 3, "rows*n")}, {"n", Int64, Dims(2)}, {"s", Int64, Shape{}}},
		Initializers: []*Tensor{v},
	}
	for len(d.data) > 0 && len(g.Nodes) < 30 {
		op := operators[d.below(len(operators))]
		g.Nodes = append(g.Nodes, d.node(op, len(g.Nodes)))
	}
	return g
}

func (d *drawing) node(op operator, place int) *Node {
	n := &Node{Domain: op.domain, Op: op.op}
	for range d.below(5) {
		n.Inputs = append(n.Inputs, d.values[d.below(len(d.values))])
	}
	for i := range d.below(4) {
		n.Outputs = append(n.Outputs, fmt.Sprintf("y%d_%d", place, i))
	}
	d.values = append(d.values, n.Outputs...)
	for _, name := range []string{"axis", "keepdims", "start", "end", "to", "batch_dims", "transA", "transB", "noop_with_empty_axes", "blocksize"} {
		if d.below(3) == 0 {
			n.Attrs = append(n.Attrs, IntAttr(name, d.integer()))
		}
	}
	for _, name := range []string{"axes", "perm", "split", "pads", "starts", "ends", "value_ints", "shape", "qkv_hidden_sizes"} {
		if d.below(6) == 0 {
			n.Attrs = append(n.Attrs, IntsAttr(name, d.integers()...))
		}
	}
	if d.below(3) == 0 {
		n.Attrs = append(n.Attrs, StringAttr("equation", []string{"ij,jk->ik", "...i,i", "ii", "->", "...", "i...j,..."}[d.below(6)]))
	}
	return n
}
