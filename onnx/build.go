package onnx

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Builder appends nodes to a graph and names their outputs. Values are their names.
// A name given with [Builder.Scope] stands before the names that are made up inside it.
type Builder struct {
	Graph  *Graph
	scope  string
	used   map[string]bool
	consts map[string]string
}

// NewBuilder extends g, whose names it never uses again.
func NewBuilder(g *Graph) *Builder {
	b := &Builder{Graph: g, used: map[string]bool{}, consts: map[string]string{}}
	for _, v := range g.Inputs {
		b.used[v.Name] = true
	}
	for _, t := range g.Initializers {
		b.used[t.Name] = true
	}
	b.Reserve(g.Nodes)
	return b
}

// Reserve keeps the names of nodes that the graph will have from being made up again.
func (b *Builder) Reserve(nodes []*Node) {
	for _, n := range nodes {
		b.used[n.Name] = true
		for _, o := range n.Outputs {
			b.used[o] = true
		}
	}
}

// Scope sets the prefix of made-up names and returns a function that sets it back.
func (b *Builder) Scope(name string) (leave func()) {
	before := b.scope
	b.scope = name
	return func() { b.scope = before }
}

// Fresh makes up a name that nothing in the graph has yet.
func (b *Builder) Fresh(name string) string {
	if b.scope != "" {
		name = b.scope + "/" + name
	}
	unique := name
	for i := 2; b.used[unique]; i++ {
		unique = fmt.Sprintf("%s_%d", name, i)
	}
	b.used[unique] = true
	return unique
}

// Input declares an input of the graph. Each dimension is an int size or a string symbol.
func (b *Builder) Input(name string, t DType, dims ...any) string {
	b.used[name] = true
	b.Graph.Inputs = append(b.Graph.Inputs, ValueInfo{name, t, Dims(dims...)})
	return name
}

// Output declares an output of the graph.
func (b *Builder) Output(name string, t DType, dims ...any) {
	b.Graph.Outputs = append(b.Graph.Outputs, ValueInfo{name, t, Dims(dims...)})
}

// Dims is a shape written as int sizes and string symbols. Called with nothing it is a scalar's.
func Dims(dims ...any) Shape {
	s := Shape{}
	for _, d := range dims {
		switch d := d.(type) {
		case int:
			s = append(s, Dim{Size: int64(d)})
		case int64:
			s = append(s, Dim{Size: d})
		case string:
			s = append(s, Dim{Size: -1, Name: d})
		case Dim:
			s = append(s, d)
		default:
			panic(fmt.Sprintf("onnx.Dims: a %T is not a dimension", d))
		}
	}
	return s
}

// Op appends a node of ONNX's own operator set with one output and returns the output's name.
func (b *Builder) Op(op string, inputs []string, attrs ...Attr) string {
	return b.Node("", op, inputs, 1, attrs...)[0]
}

// Node appends a node with the given number of outputs and returns their names.
func (b *Builder) Node(domain, op string, inputs []string, outputs int, attrs ...Attr) []string {
	n := &Node{Name: b.Fresh(op), Domain: domain, Op: op, Inputs: inputs, Attrs: attrs}
	for i := range outputs {
		suffix := ""
		if i > 0 {
			suffix = fmt.Sprintf(".%d", i)
		}
		n.Outputs = append(n.Outputs, b.Fresh(strings.ToLower(op)+":out"+suffix))
	}
	b.Graph.Nodes = append(b.Graph.Nodes, n)
	return n.Outputs
}

// Named appends a node whose single output bears the given name.
func (b *Builder) Named(output, op string, inputs []string, attrs ...Attr) string {
	b.used[output] = true
	b.Graph.Nodes = append(b.Graph.Nodes, &Node{Name: b.Fresh(op), Op: op, Inputs: inputs, Outputs: []string{output}, Attrs: attrs})
	return output
}

// Const adds an initializer, or returns the one that holds the same.
func (b *Builder) Const(t *Tensor) string {
	key := fmt.Sprintf("%d%v%s", t.Type, t.Dims, t.Raw)
	if name, ok := b.consts[key]; ok {
		return name
	}
	leave := b.Scope("")
	t.Name = b.Fresh("const")
	leave()
	b.Graph.Initializers = append(b.Graph.Initializers, t)
	b.consts[key] = t.Name
	return t.Name
}

// Scalar is a float32 constant of rank 0.
func (b *Builder) Scalar(x float32) string { return b.Const(Floats(nil, x)) }

// Ints is an int64 constant of rank 1.
func (b *Builder) Ints(xs ...int64) string { return b.Const(Int64s([]int64{int64(len(xs))}, xs...)) }

// Int is an int64 constant of rank 0.
func (b *Builder) Int(x int64) string { return b.Const(Int64s(nil, x)) }

// Floats makes a float32 tensor of the given dimensions (nil: a scalar).
func Floats(dims []int64, xs ...float32) *Tensor {
	raw := make([]byte, 0, 4*len(xs))
	for _, x := range xs {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	return &Tensor{Type: Float, Dims: slices.Clone(dims), Raw: raw}
}

// Int64s makes an int64 tensor of the given dimensions (nil: a scalar).
func Int64s(dims []int64, xs ...int64) *Tensor {
	raw := make([]byte, 0, 8*len(xs))
	for _, x := range xs {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(x))
	}
	return &Tensor{Type: Int64, Dims: slices.Clone(dims), Raw: raw}
}

// IntAttr, FloatAttr, IntsAttr and StringAttr make attributes.
func IntAttr(name string, i int64) Attr     { return Attr{Name: name, Kind: KindInt, I: i} }
func FloatAttr(name string, f float32) Attr { return Attr{Name: name, Kind: KindFloat, F: f} }
func IntsAttr(name string, is ...int64) Attr {
	return Attr{Name: name, Kind: KindInts, Ints: is}
}
func StringAttr(name, s string) Attr { return Attr{Name: name, Kind: KindString, S: s} }
