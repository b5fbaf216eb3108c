package onnx

import (
	"fmt"
	"slices"
)

// Live is the memory of a run's values, in bytes.
type Live struct {
	Values  int64 // the most that outputs of nodes take at once which a later node still reads
	Fed     int64 // inputs of a size that hangs on the run's
	Fetched int64 // outputs of such a size
}

// CountLive counts the memory of a run where the symbols of the inputs' shapes have the given sizes. Nodes run in ONNX
// Runtime's order, each value is freed after its last reader, an operator that only gives a value another shape shares its
// memory, and one that works element by element writes over an input that no one else reads. What is fed and fetched lies
// in the caller's memory.
func CountLive(m *Model, sizes map[string]int64) (Live, error) {
	values, err := inferAt(m, sizes)
	if err != nil {
		return Live{}, fmt.Errorf("counting memory: %w", err)
	}
	l := newLiveness(m.Graph)
	for _, n := range runOrder(m.Graph) {
		if err := l.run(n, values); err != nil {
			return Live{}, fmt.Errorf("counting memory: %w", err)
		}
	}
	live := Live{Values: l.most}
	add := func(to *int64, list []ValueInfo) {
		for _, v := range list {
			if size, ok := bytesOf(values, v.Name); ok && (v.Shape == nil || slices.ContainsFunc(v.Shape, func(d Dim) bool { return d.Size < 0 })) {
				*to += size
			}
		}
	}
	add(&live.Fed, m.Graph.Inputs)
	add(&live.Fetched, m.Graph.Outputs)
	return live, nil
}

// liveness is the memory of a run between two nodes. Values that share memory have one buffer, named by the first of them.
type liveness struct {
	buffers map[string]string // value to buffer; what is fed has none
	bytes   map[string]int64  // of a buffer
	readers map[string]int    // of a buffer: how often it will still be read
	reads   map[string]int    // of a value, by nodes
	fetched map[string]bool
	now     int64
	most    int64
}

func newLiveness(g *Graph) *liveness {
	l := &liveness{buffers: map[string]string{}, bytes: map[string]int64{}, readers: map[string]int{}, reads: map[string]int{}, fetched: map[string]bool{}}
	for _, n := range g.Nodes {
		for _, input := range n.Inputs {
			l.reads[input]++
		}
	}
	for _, o := range g.Outputs {
		l.fetched[o.Name] = true
	}
	return l
}

// sharing are operators whose output is their first input's memory under another shape.
var sharing = map[string]bool{"Reshape": true, "Squeeze": true, "Unsqueeze": true, "Flatten": true, "Identity": true}

// inPlace are operators that may write their output over their first input; the two-sided ones over either.
var inPlace = map[string]bool{
	"Add": true, "Sub": true, "Mul": true, "Div": true, "Neg": true, "Sqrt": true, "Tanh": true, "Exp": true, "Log": true,
	"Relu": true, "Sigmoid": true, "Erf": true, "Reciprocal": true, "Softmax": true, "LogSoftmax": true, "Cast": true, "Clip": true,
}

// firstInPlace are operators of package kernels that may write their first output over their first input: those with in_place
// in ops_table.c.
var firstInPlace = map[string]bool{
	"Gemm": true, "Gelu": true, "GeluGrad": true, "LayerNormalizationGrad": true, "Attention": true, "AttentionGrad": true, "Mask": true,
}

// run takes memory for a node's outputs, and gives back what it reads last.
func (l *liveness) run(n *Node, values map[string]ValueInfo) error {
	for i, output := range n.Outputs {
		if output == "" || l.fetched[output] {
			continue
		}
		size, ok := bytesOf(values, output)
		if !ok {
			return fmt.Errorf("%v: the size of %s is not known", n, output)
		}
		if i == 0 && l.share(n, output, size) {
			continue
		}
		l.buffers[output], l.bytes[output], l.readers[output] = output, size, l.reads[output]
		l.now += size
	}
	l.most = max(l.most, l.now)
	for _, input := range n.Inputs {
		l.leave(input, 1)
	}
	for _, output := range n.Outputs {
		l.leave(output, 0)
	}
	return nil
}

// share gives a node's first output the memory of an input where an engine does, and tells whether it did.
func (l *liveness) share(n *Node, output string, size int64) bool {
	shares := n.Domain == "" && sharing[n.Op]
	candidates := n.Inputs[:min(len(n.Inputs), 2)]
	switch {
	case shares, n.Domain == ours && firstInPlace[n.Op]:
		candidates = n.Inputs[:min(len(n.Inputs), 1)]
	case n.Domain != "" || !inPlace[n.Op]:
		return false
	}
	for _, input := range candidates {
		buffer, owned := l.buffers[input]
		if !owned && shares {
			return true // the caller's memory
		}
		if owned && (shares || l.readers[buffer] == 1 && l.bytes[buffer] == size) {
			l.buffers[output] = buffer
			l.readers[buffer] += l.reads[output]
			return true
		}
	}
	return false
}

// leave ends so many reads of a value and frees its memory after the last.
func (l *liveness) leave(value string, reads int) {
	buffer, owned := l.buffers[value]
	if !owned {
		return
	}
	if l.readers[buffer] -= reads; l.readers[buffer] == 0 {
		l.now -= l.bytes[buffer]
		l.bytes[buffer] = 0
	}
}

// runOrder is the order in which ONNX Runtime runs a graph: depth first from the nodes that no other one reads, the last of
// them first, and of what a node reads the last one first.
func runOrder(g *Graph) []*Node {
	makers, read := map[string]int{}, map[string]bool{}
	for i, n := range g.Nodes {
		for _, output := range n.Outputs {
			makers[output] = i
		}
		for _, input := range n.Inputs {
			read[input] = true
		}
	}
	o := ordering{nodes: g.Nodes, makers: makers, seen: make([]bool, len(g.Nodes))}
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		if !slices.ContainsFunc(g.Nodes[i].Outputs, func(output string) bool { return read[output] }) {
			o.visit(i)
		}
	}
	return o.order
}

// ordering is a walk through a graph against its arrows.
type ordering struct {
	nodes  []*Node
	makers map[string]int // of a value: the node that makes it
	seen   []bool
	order  []*Node
}

func (o *ordering) visit(i int) {
	if o.seen[i] {
		return
	}
	o.seen[i] = true
	var before []int
	for _, input := range o.nodes[i].Inputs {
		if maker, made := o.makers[input]; made {
			before = append(before, maker)
		}
	}
	slices.Sort(before)
	for _, maker := range slices.Backward(before) {
		o.visit(maker)
	}
	o.order = append(o.order, o.nodes[i])
}
