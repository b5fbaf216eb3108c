// Package onnx holds ONNX graphs as plain Go values.
//
// A [Model] is a [Graph] with the operator sets it is written for. A graph is a list of nodes in topological order;
// nodes refer to values by name, as in the ONNX file. Nothing here computes: package ort runs a model, package
// autodiff extends one with gradients.
package onnx

import (
	"fmt"
	"maps"
)

// DType is an element type, numbered as ONNX's TensorProto.DataType.
type DType int32

// The element types that a transformer export uses.
const (
	Undefined DType = 0
	Float     DType = 1
	Uint8     DType = 2
	Int8      DType = 3
	Uint16    DType = 4
	Int16     DType = 5
	Int32     DType = 6
	Int64     DType = 7
	String    DType = 8
	Bool      DType = 9
	Float16   DType = 10
	Double    DType = 11
	Uint32    DType = 12
	Uint64    DType = 13
	BFloat16  DType = 16
)

// Dim is one dimension of a shape: a size, a symbol shared with other shapes, or neither.
type Dim struct {
	Size int64  // the size where it is known, else -1
	Name string // the symbol where the size is not known; empty if nothing is known
}

// Shape is a list of dimensions, outermost first. A nil shape is of unknown rank; a scalar's is empty but not nil.
type Shape []Dim

// ValueInfo describes an input, an output or an intermediate value of a graph.
type ValueInfo struct {
	Name  string
	Type  DType
	Shape Shape
}

// Tensor is a constant: dense, row-major, little-endian.
type Tensor struct {
	Name string
	Type DType
	Dims []int64
	Raw  []byte

	Extra []byte // see [Model]
}

// Node is one operator. An empty input or output name stands for an optional one that is absent.
type Node struct {
	Name    string
	Domain  string // "" is ONNX's own operator set
	Op      string
	Inputs  []string
	Outputs []string
	Attrs   []Attr

	Extra []byte // see [Model] and [Node.Metadata]
}

// Attr is an attribute of a node; Kind says which field holds its value.
type Attr struct {
	Name   string
	Kind   AttrKind
	F      float32
	I      int64
	S      string
	T      *Tensor
	Floats []float32
	Ints   []int64
	Strs   []string

	Extra []byte // see [Model]
}

// AttrKind is the type of an attribute, numbered as ONNX's AttributeProto.AttributeType.
type AttrKind int32

// The kinds of attribute that are supported; graphs as attributes (control flow) are not.
const (
	KindFloat   AttrKind = 1
	KindInt     AttrKind = 2
	KindString  AttrKind = 3
	KindTensor  AttrKind = 4
	KindFloats  AttrKind = 6
	KindInts    AttrKind = 7
	KindStrings AttrKind = 8
)

// Graph is a computation: nodes in topological order from inputs and initializers to outputs.
type Graph struct {
	Name         string
	Inputs       []ValueInfo
	Outputs      []ValueInfo
	Initializers []*Tensor
	Nodes        []*Node
	Values       []ValueInfo // what a file says about intermediate values; a hint for operators that Infer does not know

	Extra      []byte            // see [Model]
	ValueExtra map[string][]byte // the same of inputs, outputs and intermediate values, by name
}

// Model is a graph with the version of each operator set that it uses.
//
// The Extra fields here and below hold, as protobuf, what a file says beyond the fields that have a name: documentation,
// versions, metadata, and all that a later ONNX may bring. It is written again as it was read.
type Model struct {
	IRVersion int64
	Producer  string
	Opsets    map[string]int64 // by domain; "" is ONNX's own
	Graph     *Graph
	Metadata  map[string]string // free text of the model's author, by key

	Extra []byte
}

// Opset of the models that metalora builds: the first with Gelu, and LayerNormalization since 17.
const (
	DefaultOpset     = 20
	DefaultIRVersion = 9
)

// NewModel wraps a graph with the default operator set.
func NewModel(g *Graph) *Model {
	return &Model{IRVersion: DefaultIRVersion, Producer: "metalora", Opsets: map[string]int64{"": DefaultOpset}, Graph: g}
}

// Clone copies the model so that the copy's graph can be extended; nodes and tensors are shared.
func (m *Model) Clone() *Model {
	c, g := *m, *m.Graph
	g.Inputs = append([]ValueInfo(nil), g.Inputs...)
	g.Outputs = append([]ValueInfo(nil), g.Outputs...)
	g.Initializers = append([]*Tensor(nil), g.Initializers...)
	g.Nodes = append([]*Node(nil), g.Nodes...)
	g.Values = append([]ValueInfo(nil), g.Values...)
	c.Opsets, c.Metadata, c.Graph = maps.Clone(m.Opsets), maps.Clone(m.Metadata), &g
	return &c
}

// String names the node in messages: by its own name, or by what it computes where it has none.
func (n *Node) String() string {
	op := n.Op
	if n.Domain != "" {
		op = n.Domain + "." + op
	}
	if n.Name == "" {
		return fmt.Sprintf("node of %q (%s)", n.Output(0), op)
	}
	return fmt.Sprintf("node %q (%s)", n.Name, op)
}

// Opset is the version of the operator set that the model imports for a domain, 0 if it does not.
func (m *Model) Opset(domain string) int64 { return m.Opsets[domainName(domain)] }

// Attr returns the named attribute, or nil.
func (n *Node) Attr(name string) *Attr {
	for i := range n.Attrs {
		if n.Attrs[i].Name == name {
			return &n.Attrs[i]
		}
	}
	return nil
}

// Int returns an integer attribute, or def where it is absent.
func (n *Node) Int(name string, def int64) int64 {
	if a := n.Attr(name); a != nil {
		return a.I
	}
	return def
}

// Float returns a float attribute, or def where it is absent.
func (n *Node) Float(name string, def float32) float32 {
	if a := n.Attr(name); a != nil {
		return a.F
	}
	return def
}

// Ints returns a list-of-integers attribute, or nil where it is absent.
func (n *Node) Ints(name string) []int64 {
	if a := n.Attr(name); a != nil {
		return a.Ints
	}
	return nil
}

// Input returns the name of input i, empty where it is absent.
func (n *Node) Input(i int) string {
	if i >= 0 && i < len(n.Inputs) {
		return n.Inputs[i]
	}
	return ""
}

// Output returns the name of output i, empty where it is absent.
func (n *Node) Output(i int) string {
	if i < len(n.Outputs) {
		return n.Outputs[i]
	}
	return ""
}

// String writes a dimension as its size, its symbol, or a question mark.
func (d Dim) String() string {
	switch {
	case d.Size >= 0:
		return fmt.Sprint(d.Size)
	case d.Name != "":
		return d.Name
	}
	return "?"
}

// String writes a shape as "[rows 128 ?]"; one of unknown rank as "?".
func (s Shape) String() string {
	if s == nil {
		return "?"
	}
	return fmt.Sprint([]Dim(s))
}
