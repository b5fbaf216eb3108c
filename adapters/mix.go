package adapters

import (
	"fmt"
	"slices"

	"metalora/onnx"
)

// Axis is the symbol of the dimension along which a mixed graph's weights are stacked, one adapter after the other.
const Axis = "adapters"

// Mix makes a graph score with several adapters in one run. The batch's rows stand in as many groups of equal size as
// there are adapters, and each group goes through its own:
//
//	y' = y + x Aₖ Bₖ    for the rows of group k
//
// The base's products stay one product over all rows; an adapter's are one product for each group, so that mixing costs no
// more than a single adapter. Heads, the weights of the names given, differ by group in the same way. All of these become inputs
// with the adapters as their first dimension and, as [Stack] lays them out, matrices transposed and scales in B: A
// [adapters, in, rank], B [adapters, rank, out], a head's matrix [adapters, in, out] and vector [adapters, 1, out]. A graph
// whose head is made of anything but linear layers cannot be mixed.
func Mix(m *onnx.Model, sites []Site, heads []string) (*onnx.Model, error) {
	out := m.Clone()
	nodes := out.Graph.Nodes
	out.Graph.Nodes = nil
	x := &mixer{b: onnx.NewBuilder(out.Graph), model: out, widths: map[string]int{}, ins: map[string]int{}, sites: map[string]Site{}, shapes: map[int]string{}}
	x.b.Reserve(nodes)
	x.declare(sites, heads)
	for _, n := range nodes {
		if err := x.node(n); err != nil {
			return nil, fmt.Errorf("mixing adapters: %w", err)
		}
	}
	if len(x.sites) > 0 {
		return nil, fmt.Errorf("mixing adapters: the graph lacks %d of the linear layers", len(x.sites))
	}
	return out, nil
}

// mixer is a graph that is being put together again.
type mixer struct {
	b      *onnx.Builder
	model  *onnx.Model
	widths map[string]int // of what the head's weights make; only these differ by group
	ins    map[string]int // of what the head's matrices read
	sites  map[string]Site
	count  string         // the number of groups, int64 [1]
	shapes map[int]string // [adapters, -1, width] by width
}

// declare turns the heads' inputs into stacks, adds those of the sites and counts the groups.
func (x *mixer) declare(sites []Site, heads []string) {
	b, first := x.b, ""
	for i, v := range x.model.Graph.Inputs {
		if !slices.Contains(heads, v.Name) {
			continue
		}
		dims := onnx.Dims(Axis, 1, v.Shape[0])
		if len(v.Shape) == 2 {
			x.ins[v.Name] = int(v.Shape[1].Size)
			dims = onnx.Dims(Axis, v.Shape[1], v.Shape[0])
		}
		x.widths[v.Name] = int(v.Shape[0].Size)
		x.model.Graph.Inputs[i].Shape = dims
		first = v.Name
	}
	for _, s := range sites {
		x.sites[s.Linear] = s
		rank := s.Linear + ".rank"
		b.Input(s.A(), onnx.Float, Axis, s.In, rank)
		b.Input(s.B(), onnx.Float, Axis, rank, s.Out)
		first = s.A()
	}
	defer b.Scope(Axis)()
	x.count = b.Op("Slice", []string{b.Op("Shape", []string{first}), b.Ints(0), b.Ints(1)})
}

// node appends a node, or what stands in its place.
func (x *mixer) node(n *onnx.Node) error {
	name, isLinear := linear(n)
	site, adapted := x.sites[name]
	headed := slices.IndexFunc(n.Inputs, func(input string) bool { return x.widths[input] > 0 })
	switch {
	case isLinear && (adapted || headed >= 0):
		defer x.b.Scope(name)()
		delete(x.sites, name)
		return x.linear(n, site, adapted)
	case n.Op == "Add" && n.Domain == "" && headed >= 0:
		defer x.b.Scope(n.Inputs[headed])()
		x.b.Named(n.Output(0), "Identity", []string{x.add(n.Input(1-headed), n.Inputs[headed])})
	case headed >= 0:
		return fmt.Errorf("node %q (%s) reads %s of the head: only linear layers can be mixed", n.Name, n.Op, n.Inputs[headed])
	default:
		x.model.Graph.Nodes = append(x.model.Graph.Nodes, n)
	}
	return nil
}

// linear appends a linear layer whose weight, bias or adapter differs by group. Its last step is an Identity, which the engine
// takes out again.
func (x *mixer) linear(n *onnx.Node, s Site, adapted bool) error {
	if n.Float("alpha", 1) != 1 || n.Float("beta", 1) != 1 {
		return fmt.Errorf("node %q: a linear layer with a factor cannot be mixed", n.Name)
	}
	b := x.b
	y := x.product(n.Input(0), n.Input(1))
	switch bias := n.Input(2); {
	case x.widths[bias] > 0:
		y = x.add(y, bias)
	case bias != "":
		y = b.Op("Add", []string{y, bias})
	}
	if adapted {
		low := b.Op("MatMul", []string{x.split(n.Input(0), s.In), s.A()})
		own := b.Op("Reshape", []string{b.Op("MatMul", []string{low, s.B()}), b.Op("Shape", []string{y})}) // which tells that it has y's rows
		y = b.Op("Add", []string{y, own})
	}
	b.Named(n.Output(0), "Identity", []string{y})
	return nil
}

// product is x Wᵀ, with a W for each group where W is of the head.
func (x *mixer) product(of, weight string) string {
	if width := x.widths[weight]; width > 0 {
		return x.join(x.b.Op("MatMul", []string{x.split(of, x.ins[weight]), weight}), width)
	}
	return x.b.Op("Gemm", []string{of, weight}, onnx.IntAttr("transB", 1))
}

// add is y + bias by group.
func (x *mixer) add(y, bias string) string {
	width := x.widths[bias]
	return x.join(x.b.Op("Add", []string{x.split(y, width), bias}), width)
}

// split views [rows, width] as [adapters, rows of a group, width]; join views it back.
func (x *mixer) split(y string, width int) string {
	shape, ok := x.shapes[width]
	if !ok {
		leave := x.b.Scope(Axis)
		shape = x.b.Op("Concat", []string{x.count, x.b.Ints(-1, int64(width))}, onnx.IntAttr("axis", 0))
		leave()
		x.shapes[width] = shape
	}
	return x.b.Op("Reshape", []string{y, shape})
}

func (x *mixer) join(y string, width int) string {
	return x.b.Op("Reshape", []string{y, x.b.Ints(-1, int64(width))})
}
