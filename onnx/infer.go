package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Facts is what is known about a model's values without running it.
type Facts struct {
	// Values has the type and shape of every input, initializer and node output, by name.
	Values map[string]ValueInfo
	ints   map[string][]number  // the elements of small integer and boolean tensors, row-major; nil elements are unknown
	floats map[string][]float32 // the elements of small constant float tensors
}

// Ints returns the elements of an integer tensor that is the same in every run, row-major. Only small tensors are
// followed: axes, shapes, indices.
func (f *Facts) Ints(name string) ([]int64, bool) {
	numbers, ok := f.ints[name]
	if t := f.Values[name].Type; !ok || !t.IsInteger() && t != Bool {
		return nil, false
	}
	values := make([]int64, len(numbers))
	for i, n := range numbers {
		if values[i], ok = n.value(); !ok {
			return nil, false
		}
	}
	return values, true
}

// Floats returns the elements of a small float tensor that is a constant, row-major.
func (f *Facts) Floats(name string) ([]float32, bool) {
	values, ok := f.floats[name]
	return values, ok
}

// Infer finds type and shape of every value of a graph: inputs, initializers and outputs of nodes, by name.
//
// Symbols of the inputs' dimensions are carried along as far as they reach, through products and sums: flattening
// [rows, length, 768] gives [length*rows, 768], with sorted factors, and a reshape back by a computed shape gives rows and
// length again. Integers that shapes are computed from (Shape, Gather, Concat, arithmetic) are followed in the same way.
// Where nothing is known, a dimension has neither size nor name, or a shape is nil: so after an operator that Infer does
// not know, unless the file says what its outputs are. An error names a node whose inputs can't fit each other.
//
// A slice that ends at a symbol is taken to have that many elements, one that starts at n to be n shorter, and the first
// element of a symbol's many to be there.
func Infer(m *Model) (map[string]ValueInfo, error) {
	facts, err := Analyse(m)
	if err != nil {
		return nil, err
	}
	return facts.Values, nil
}

// Analyse is [Infer] with the integer values that it found on the way.
func Analyse(m *Model) (*Facts, error) {
	if m.Graph == nil {
		return nil, errors.New("inferring shapes: the model holds no graph")
	}
	in := &inference{
		Facts:   Facts{Values: map[string]ValueInfo{}, ints: map[string][]number{}, floats: map[string][]float32{}},
		opset:   m.Opset(""),
		hints:   map[string]ValueInfo{},
		symbols: m.definitions(),
	}
	in.begin(m.Graph)
	for _, n := range m.Graph.Nodes {
		if err := in.node(n); err != nil {
			return nil, fmt.Errorf("inferring shapes: %v: %w", n, err)
		}
	}
	return &in.Facts, nil
}

// dimPrefix stands before a symbol in a model's metadata where the symbol is defined by others.
const dimPrefix = "dimension::"

// DefineDim says that a symbol of the graph's shapes always equals a product or sum of others, such as tokens =
// length*rows. Infer then uses the definition in its place. It is kept in the model's metadata.
func (m *Model) DefineDim(symbol, definition string) {
	if m.Metadata == nil {
		m.Metadata = map[string]string{}
	}
	m.Metadata[dimPrefix+symbol] = definition
}

func (m *Model) definitions() map[string]Dim {
	symbols := map[string]Dim{}
	for key, definition := range m.Metadata {
		if name, ok := strings.CutPrefix(key, dimPrefix); ok {
			symbols[name] = symbolic(definition).dim()
		}
	}
	return symbols
}

// inference is the state of one walk over a graph.
type inference struct {
	Facts
	opset   int64
	hints   map[string]ValueInfo // what the file says about intermediate values and outputs
	symbols map[string]Dim       // symbols that are defined by others
}

// begin takes over what is known before the first node.
func (in *inference) begin(g *Graph) {
	for _, v := range slices.Concat(g.Outputs, g.Values) {
		if v.Type != Undefined {
			v.Shape = in.normal(v.Shape)
			in.hints[v.Name] = v
		}
	}
	for _, v := range g.Inputs {
		v.Shape = in.normal(v.Shape)
		in.Values[v.Name] = v
	}
	for _, t := range g.Initializers {
		in.constant(t.Name, t)
	}
}

// normal writes every symbol in its canonical form.
func (in *inference) normal(s Shape) Shape {
	s = slices.Clone(s)
	for i, d := range s {
		if defined, ok := in.symbols[d.Name]; ok && d.Size < 0 {
			s[i] = defined
		} else {
			s[i] = d.number().dim()
		}
	}
	return s
}

// maxInts is the largest tensor whose elements are followed one by one.
const maxInts = 1024

// constant records a tensor under a value's name.
func (in *inference) constant(name string, t *Tensor) {
	shape := Shape{}
	for _, d := range t.Dims {
		shape = append(shape, Dim{Size: d})
	}
	in.Values[name] = ValueInfo{Name: name, Type: t.Type, Shape: shape}
	if size := t.Type.Size(); size > 0 && len(t.Raw)/size <= maxInts {
		if ints := t.ints(); ints != nil {
			in.ints[name] = ints
		}
	}
	if t.Type == Float && len(t.Raw) <= 4*maxFloats {
		in.floats[name] = t.floats()
	}
}

// maxFloats is the largest float tensor whose elements are kept: scales, one for each axis.
const maxFloats = 16

func (t *Tensor) floats() []float32 {
	values := []float32{}
	for raw := t.Raw; len(raw) >= 4; raw = raw[4:] {
		values = append(values, math.Float32frombits(binary.LittleEndian.Uint32(raw)))
	}
	return values
}

// ints is the elements of a tensor of one of the types that indices and conditions have, nil for other types.
// Exporters also write whole floats and cast them.
func (t *Tensor) ints() []number {
	numbers := []number{}
	size := t.Type.Size()
	for raw := t.Raw; size > 0 && len(raw) >= size; raw = raw[size:] {
		switch t.Type {
		case Int64:
			numbers = append(numbers, constant(int64(binary.LittleEndian.Uint64(raw))))
		case Int32:
			numbers = append(numbers, constant(int64(int32(binary.LittleEndian.Uint32(raw)))))
		case Bool:
			numbers = append(numbers, constant(int64(raw[0])))
		case Float:
			f := math.Float32frombits(binary.LittleEndian.Uint32(raw))
			if whole := int64(f); float32(whole) != f || whole > 1<<24 || whole < -1<<24 {
				return nil
			} else {
				numbers = append(numbers, constant(whole))
			}
		default:
			return nil
		}
	}
	return numbers
}

// node applies the rule of one node's operator; where there is none, the file's own word stands.
func (in *inference) node(n *Node) error {
	for _, name := range n.Inputs {
		if _, ok := in.Values[name]; !ok && name != "" {
			return fmt.Errorf("it reads %q, which nothing before it computes", name)
		}
	}
	for _, o := range n.Outputs {
		in.Values[o] = ValueInfo{Name: o}
		delete(in.ints, o)
		delete(in.floats, o)
	}
	if rule, ok := shapeRules[operator{n.Domain, n.Op}]; ok {
		if err := rule(&site{in, n}); err != nil {
			return err
		}
	}
	for _, o := range n.Outputs {
		v, hint := in.Values[o], in.hints[o]
		if v.Type == Undefined {
			v.Type = hint.Type
		}
		if v.Shape == nil {
			v.Shape = hint.Shape
		}
		in.Values[o] = v
	}
	delete(in.Values, "")
	return nil
}

// operator names a kind of node.
type operator struct{ domain, op string }

// site is one node while its outputs are inferred. Inputs that are absent are of undefined type and unknown shape.
type site struct {
	*inference
	*Node
}

func (s *site) dtype(i int) DType { return s.Values[s.Input(i)].Type }
func (s *site) shape(i int) Shape { return s.Values[s.Input(i)].Shape }

// has reports whether input i is given.
func (s *site) has(i int) bool { return s.Input(i) != "" }

// numbers is the elements of an integer input, nil where they are not known.
func (s *site) numbers(i int) []number { return s.ints[s.Input(i)] }

// set records output i, if the node has it. Ranks beyond all use, which a hostile graph can double with every node, are
// forgotten.
func (s *site) set(i int, t DType, shape Shape) {
	if len(shape) > maxRank {
		shape = nil
	}
	if name := s.Output(i); name != "" {
		s.Values[name] = ValueInfo{Name: name, Type: t, Shape: shape}
	}
}

// setNumbers records the elements of output 0. Elements beyond what is followed, or of another count than its shape
// has, are forgotten.
func (s *site) setNumbers(ns []number) {
	name := s.Output(0)
	if ns == nil || name == "" || len(ns) > maxInts || !s.Values[name].Shape.product().is(int64(len(ns))) {
		return
	}
	if t := s.Values[name].Type; t == Int64 || t == Int32 || t == Bool {
		s.ints[name] = ns
	}
}

// list is a list of integers that older operator sets have as an attribute and newer ones as input i.
// given says that there is one, known that its elements are; ONNX treats an empty name as absent.
func (s *site) list(attr string, i int) (values []int64, given, known bool) {
	if a := s.Attr(attr); a != nil {
		return a.Ints, true, true
	}
	if !s.has(i) {
		return nil, false, true
	}
	values, known = s.inference.Ints(s.Input(i))
	return values, true, known
}

// optionalInts is the elements of an integer input that may be absent: nil is then known.
func (s *site) optionalInts(i int) (values []int64, known bool) {
	if !s.has(i) {
		return nil, true
	}
	return s.inference.Ints(s.Input(i))
}

// axis brings an axis into [0, rank).
func axis(a int64, rank int) (int, error) {
	if a < -int64(rank) || a >= int64(rank) {
		return 0, fmt.Errorf("axis %d of a tensor of rank %d", a, rank)
	}
	if a < 0 {
		a += int64(rank)
	}
	return int(a), nil
}

// axesOf brings a list of axes into [0, rank) and refuses repeated ones.
func axesOf(list []int64, rank int) (map[int]bool, error) {
	set := map[int]bool{}
	for _, a := range list {
		i, err := axis(a, rank)
		if err != nil {
			return nil, err
		}
		if set[i] {
			return nil, fmt.Errorf("axis %d is given twice", a)
		}
		set[i] = true
	}
	return set, nil
}

// maxRank is more than any engine computes with.
const maxRank = 64

// unknown is a shape of which only the rank is known.
func unknown(rank int) Shape {
	if rank < 0 || rank > maxRank {
		return nil
	}
	s := make(Shape, rank)
	for i := range s {
		s[i].Size = -1
	}
	return s
}

// joinShapes is one shape of several known ones; of none or empty ones a scalar's, which is not nil.
func joinShapes(shapes ...Shape) Shape {
	joined := Shape{}
	for _, s := range shapes {
		joined = append(joined, s...)
	}
	return joined
}
