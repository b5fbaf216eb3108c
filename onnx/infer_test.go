package onnx

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// in declares a float input of the given dimensions under a name made from its place.
func in(b *Builder, dims ...any) string {
	return b.Input(fmt.Sprintf("x%d", len(b.Graph.Inputs)), Float, dims...)
}

func ints(b *Builder, dims ...any) string {
	return b.Input(fmt.Sprintf("x%d", len(b.Graph.Inputs)), Int64, dims...)
}

// on applies an operator to values.
func on(b *Builder, op string, inputs ...string) string { return b.Op(op, inputs) }

// dimOf computes one dimension of a value as exporters do: a rank 1 tensor of one element.
func dimOf(b *Builder, x string, i int64) string {
	size := b.Op("Gather", []string{on(b, "Shape", x), b.Int(i)})
	return on(b, "Unsqueeze", size, b.Ints(0))
}

func join(b *Builder, parts ...string) string { return b.Op("Concat", parts, IntAttr("axis", 0)) }

type inferCase struct {
	name  string
	build func(*Builder) string // returns the value that is looked at
	want  string                // its type and shape
}

func inferCases() []inferCase {
	return slices.Concat(kernelCases, elementwiseCases, matMulCases, layoutCases, blockCases, selectCases, valuesCases, windowCases)
}

// model builds the case's graph, whose output is the value that is looked at.
func (c inferCase) model() *Model {
	b := NewBuilder(&Graph{})
	y := c.build(b)
	m := NewModel(b.Graph)
	m.Opsets[microsoft], m.Opsets[ours] = 1, 1
	b.Graph.Outputs = []ValueInfo{{Name: y}}
	return m
}

func TestInfer(t *testing.T) {
	for _, c := range inferCases() {
		t.Run(c.name, func(t *testing.T) {
			m := c.model()
			y := m.Graph.Outputs[0].Name
			if err := m.Check(); err != nil {
				t.Fatal(err)
			}
			info, err := Infer(m)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprintf("%v %v", info[y].Type, info[y].Shape); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

var conflicts = []struct {
	name  string
	build func(*Builder) string
	want  string // part of the error
}{
	{"inner dimensions", func(b *Builder) string { return on(b, "MatMul", in(b, 2, 3), in(b, 4, 5)) }, "inner dimensions 3 and 4"},
	{"scalar factor", func(b *Builder) string { return on(b, "MatMul", in(b), in(b, 4, 5)) }, "scalar"},
	{"Gemm", func(b *Builder) string { return on(b, "Gemm", in(b, 2, 3), in(b, 4, 5)) }, "inner dimensions 3 and 4"},
	{"Gemm of vectors", func(b *Builder) string { return on(b, "Gemm", in(b, 3), in(b, 3, 5)) }, "not a matrix"},
	{"Gemm's bias", func(b *Builder) string { return on(b, "Gemm", in(b, 2, 3), in(b, 3, 5), in(b, 4)) }, "[4]"},
	{"broadcast", func(b *Builder) string { return on(b, "Add", in(b, 2, 3), in(b, 4)) }, "do not broadcast"},
	{"types", func(b *Builder) string { return on(b, "Add", in(b, 2), ints(b, 2)) }, "is float, but"},
	{"Where's types", func(b *Builder) string { return on(b, "Where", b.Input("c", Bool, 2), in(b, 2), ints(b, 2)) }, "is float, but"},
	{"Reshape", func(b *Builder) string { return on(b, "Reshape", in(b, 2, 3), b.Ints(7)) }, "6 elements"},
	{"Reshape does not divide", func(b *Builder) string { return on(b, "Reshape", in(b, 2, 3), b.Ints(-1, 4)) }, "6 elements"},
	{"Reshape with two open ends", func(b *Builder) string { return on(b, "Reshape", in(b, 2, 3), b.Ints(-1, -1)) }, "more than one"},
	{"Reshape to less than nothing", func(b *Builder) string { return on(b, "Reshape", in(b, 2, 3), b.Ints(-2, 3)) }, "-2"},
	{"Reshape copies what is not there", func(b *Builder) string { return on(b, "Reshape", in(b, 6), b.Ints(2, 0)) }, "copied"},
	{"Transpose", func(b *Builder) string { return b.Op("Transpose", []string{in(b, 2, 3)}, IntsAttr("perm", 0, 0)) }, "perm"},
	{"Transpose of another rank", func(b *Builder) string { return b.Op("Transpose", []string{in(b, 2, 3)}, IntsAttr("perm", 0)) }, "perm"},
	{"Squeeze", func(b *Builder) string { return on(b, "Squeeze", in(b, 2, 3), b.Ints(0)) }, "not 1"},
	{"Unsqueeze twice", func(b *Builder) string { return on(b, "Unsqueeze", in(b, 2), b.Ints(0, 0)) }, "twice"},
	{"Concat", func(b *Builder) string { return join(b, in(b, 2, 3), in(b, 2, 4)) }, "does not join"},
	{"Concat of another rank", func(b *Builder) string { return join(b, in(b, 2, 3), in(b, 2)) }, "does not join"},
	{"axis", func(b *Builder) string { return b.Op("Gather", []string{in(b, 2), ints(b, 1)}, IntAttr("axis", 1)) }, "axis 1"},
	{"index", func(b *Builder) string { return on(b, "Gather", on(b, "Shape", in(b, 2)), b.Int(1)) }, "index 1"},
	{"step of 0", func(b *Builder) string { return on(b, "Slice", in(b, 2), b.Ints(0), b.Ints(1), b.Ints(0), b.Ints(0)) }, "step"},
	{"slice of unequal lists", func(b *Builder) string { return on(b, "Slice", in(b, 2), b.Ints(0), b.Ints(1, 2)) }, "1 starts, 2 ends"},
	{"GatherND", func(b *Builder) string { return on(b, "GatherND", in(b, 2), ints(b, 5, 2)) }, "addresses of 2"},
	{"LayerNormalization", func(b *Builder) string { return on(b, "LayerNormalization", in(b, 2, 4), in(b, 3)) }, "[3]"},
	{"Range without end", func(b *Builder) string { return on(b, "Range", b.Int(0), b.Int(1), b.Int(0)) }, "step"},
	{"Constant without value", func(b *Builder) string { return b.Op("Constant", nil) }, "no value"},
	{"Einsum's operands", einsumOf("ij,jk", Dims(2, 3)), "2 operands"},
	{"Einsum's labels", einsumOf("ij,jk", Dims(2, 3), Dims(4, 5)), "label j"},
	{"Einsum's ranks", einsumOf("ij", Dims(2, 3, 4)), "is not"},
	{"Det", func(b *Builder) string { return on(b, "Det", in(b, 2, 3)) }, "not square"},
	{"blocks of nothing", func(b *Builder) string { return on(b, "DepthToSpace", in(b, 1, 4, 1, 1)) }, "size 0"},
	{"CenterCropPad", func(b *Builder) string { return on(b, "CenterCropPad", in(b, 2, 3), b.Ints(3)) }, "1 sizes"},
	{"Col2Im", func(b *Builder) string { return on(b, "Col2Im", in(b, 1, 4), b.Ints(4, 4), b.Ints(2, 2)) }, "images"},
	{"dangling input", func(b *Builder) string { return on(b, "Relu", "nowhere") }, "nowhere"},
}

// TestInferConflicts: what can't fit is an error that names the node.
func TestInferConflicts(t *testing.T) {
	for _, c := range conflicts {
		t.Run(c.name, func(t *testing.T) {
			b := NewBuilder(&Graph{})
			c.build(b)
			node := b.Graph.Nodes[len(b.Graph.Nodes)-1]
			_, err := Infer(NewModel(b.Graph))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), node.String()) {
				t.Errorf("error %v, want one that names the node and says %q", err, c.want)
			}
		})
	}
}

// TestInferExports: of real exporters' models every dimension of every value is known.
func TestInferExports(t *testing.T) {
	allKnown(t, exported(t))
	for _, path := range exports(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			m, err := ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			m.Graph.Values = nil // what exporters say about them is not needed
			allKnown(t, m)
		})
	}
}

func allKnown(t *testing.T, m *Model) {
	t.Helper()
	info, err := Infer(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range m.Graph.Nodes {
		for _, o := range n.Outputs {
			v := info[o]
			if o == "" {
				continue
			}
			if v.Type == Undefined || v.Shape == nil || strings.Contains(v.Shape.String(), "?") {
				t.Errorf("%v: %q is %v %v", n, o, v.Type, v.Shape)
			}
		}
	}
	batch := m.Graph.Inputs[0].Shape[0]
	if logits := info["logits"]; logits.Type != Float || len(logits.Shape) != 2 || logits.Shape[0] != batch || logits.Shape[1].Size != 2 {
		t.Errorf("logits are %v %v, want float [%v 2]", logits.Type, logits.Shape, batch)
	}
}

// TestDefineDim: a symbol that is defined by others is written as these.
func TestDefineDim(t *testing.T) {
	b := NewBuilder(&Graph{})
	flat := on(b, "Reshape", in(b, "rows", "length", 8), b.Ints(-1, 8))
	masked := on(b, "Mul", flat, b.Input("mask", Float, "tokens", 8))
	m := NewModel(b.Graph)
	for _, want := range []string{"[? 8]", "[length*rows 8]"} {
		info, err := Infer(m)
		if err != nil {
			t.Fatal(err)
		}
		if got := info[masked].Shape.String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		m.DefineDim("tokens", "rows*length")
	}
}

// TestIntsOf: integers that are the same in every run are found, others are not.
func TestIntsOf(t *testing.T) {
	b := NewBuilder(&Graph{})
	x := in(b, "rows", 3, 4)
	sizes := on(b, "Slice", on(b, "Shape", x), b.Ints(1), b.Ints(3))
	rows := dimOf(b, x, 0)
	facts, err := Analyse(NewModel(b.Graph))
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := facts.Ints(sizes); !ok || len(got) != 2 || got[0] != 3 || got[1] != 4 {
		t.Errorf("%v %v, want [3 4]", got, ok)
	}
	for _, name := range []string{rows, x, "nowhere"} {
		if got, ok := facts.Ints(name); ok {
			t.Errorf("%s is %v, want nothing", name, got)
		}
	}
}
