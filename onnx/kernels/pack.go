package kernels

import (
	"slices"

	"metalora/onnx"
)

// The inputs that Pack adds.
const (
	Tokens = "packed::tokens" // [packed]: the places in [rows·length] where tokens stand, row after row
	Starts = "packed::starts" // [rows]: how many of them come before a row's first
)

// Packed is the symbol of how many tokens a batch has without padding.
const Packed = "packed"

// packedAttr says how rows lie in the inputs of Attention: padded to one length (0), packed, or packed with one query each.
const (
	packedAttr       = "packed"
	packedRows int64 = 1
	packedKeys int64 = 2
)

// Pack returns a copy of a lowered model that computes no padding: what has a row for each place of [rows, length] in the model
// given has one for each of [Tokens], lists of ids and masks of dropout included. Only Attention looks beyond a token's own row,
// and [Starts] tells it where rows begin. Padding is what stands behind the last 1 of a row of attention_mask.
//
// It returns nil for a model of which it cannot tell that this gives the same. Gradients are taken to be 0 where attention_mask
// hides a place, as they are of every model in which only attention looks at other tokens.
func Pack(m *onnx.Model) *onnx.Model {
	facts, err := onnx.Analyse(m)
	if err != nil || m.Opset(Domain) == 0 {
		return nil
	}
	c := m.Clone()
	for i, n := range c.Graph.Nodes {
		c.Graph.Nodes[i] = copyOf(n)
	}
	p := &packing{lowering: newLowering(c.Graph, facts), packed: map[string]bool{}}
	if !p.batch() || !p.starts() || !p.finish() || slices.ContainsFunc(c.Graph.Nodes, func(n *onnx.Node) bool { return !p.node(n) }) {
		return nil
	}
	for _, values := range [][]onnx.ValueInfo{c.Graph.Inputs, c.Graph.Outputs, c.Graph.Values} {
		for i, v := range values {
			if p.packed[v.Name] {
				values[i].Shape = slices.Concat(onnx.Shape{{Size: -1, Name: Packed}}, v.Shape[1:])
			}
		}
	}
	c.Graph.Inputs = append(c.Graph.Inputs, onnx.ValueInfo{Name: Tokens, Type: onnx.Int64, Shape: onnx.Shape{{Size: -1, Name: Packed}}},
		onnx.ValueInfo{Name: Starts, Type: onnx.Int64, Shape: onnx.Shape{p.rows}})
	return c
}

// packing is a lowered graph from which padding is taken.
type packing struct {
	*lowering
	rows, tokens onnx.Dim        // of a batch, with its padding
	packed       map[string]bool // values [tokens, ...] that lose it
}

// batch puts a node behind each list of ids [tokens] that is a batch's [rows, length] in another shape: it picks what stands at
// the places of tokens. It fails where there is none.
func (p *packing) batch() bool {
	shape := p.facts.Values["attention_mask"].Shape
	for _, n := range slices.Clone(p.graph.Nodes) {
		list := p.facts.Values[n.Output(0)]
		if n.Domain != "" || n.Op != "Reshape" || len(shape) != 2 || !slices.EqualFunc(p.facts.Values[n.Input(0)].Shape, shape, equal) ||
			list.Type != onnx.Int64 || len(list.Shape) != 1 {
			continue
		}
		p.rows, p.tokens = shape[0], list.Shape[0]
		whole := p.fresh(list.Name + "/padded")
		p.packed[list.Name] = true
		n.Outputs[0] = whole
		p.add(&onnx.Node{Name: whole, Op: "Gather", Inputs: []string{whole, Tokens}, Outputs: []string{list.Name}})
		p.makers[whole] = n
	}
	if len(p.packed) == 0 {
		return false
	}
	for input := range p.inputs {
		if p.perToken(input) {
			p.packed[input] = p.facts.Values[input].Type == onnx.Bool // a mask of dropout
		}
	}
	return true
}

func (p *packing) add(n *onnx.Node) {
	p.graph.Nodes = append(p.graph.Nodes, n)
	p.link(n)
}

// perToken tells whether a value has something for each place of the batch: [tokens, ...].
func (p *packing) perToken(value string) bool {
	shape := p.facts.Values[value].Shape
	return len(shape) > 0 && equal(shape[0], p.tokens)
}

// index wants an integer that is the same in every run.
func index(want int64) pattern {
	return func(l *lowering, value string, _ map[string]string) bool {
		got, ok := l.ints(value)
		return ok && len(got) == 1 && got[0] == want
	}
}

// batchSize wants a dimension of the batch.
func batchSize(axis int64) pattern { return node("Gather", node("Shape", as("batch")), index(axis)) }

var (
	firstTokens = node("Mul", node("Range", index(0), batchSize(0), index(1)), batchSize(1))
	firstPlaces = node("Expand", node("Reshape", as("starts")))
	hiding      = node("Mul", node("Sub", number(1), node("Cast", node("Unsqueeze", as("seen")))), constant("least"))
)

// starts puts Starts where the first place of each row is computed, and sizes without padding where zeros are made.
func (p *packing) starts() bool {
	for _, n := range slices.Clone(p.graph.Nodes) {
		letters, first := p.find(firstTokens, n.Output(0))
		switch {
		case p.gone[n]:
		case first && slices.EqualFunc(p.facts.Values[letters["batch"]].Shape, p.facts.Values["attention_mask"].Shape, equal):
			for _, r := range slices.Clone(p.readers[n.Output(0)]) {
				p.instead(r, n.Output(0), Starts)
			}
		case n.Domain == "" && n.Op == "ConstantOfShape" && p.perToken(n.Output(0)):
			if !p.zeros(n) {
				return false
			}
		}
	}
	return true
}

// zeros gives a ConstantOfShape the shape of one for tokens alone.
func (p *packing) zeros(n *onnx.Node) bool {
	var sizes []int64
	for _, d := range p.facts.Values[n.Output(0)].Shape[1:] {
		if d.Size < 0 {
			return false
		}
		sizes = append(sizes, d.Size)
	}
	before := len(p.graph.Nodes)
	b := onnx.NewBuilder(p.graph)
	shape := b.Op("Concat", []string{b.Op("Shape", []string{Tokens}), b.Ints(sizes...)}, onnx.IntAttr("axis", 0))
	for _, made := range p.graph.Nodes[before:] {
		p.link(made)
	}
	p.instead(n, n.Input(0), shape)
	p.packed[n.Output(0)] = true
	return true
}

// instead lets a node read another value. Nodes that made what is then read by nobody go.
func (p *packing) instead(n *onnx.Node, old, value string) {
	for i, input := range n.Inputs {
		if input == old {
			n.Inputs[i] = value
			p.readers[value] = append(p.readers[value], n)
		}
	}
	p.unread(n, old)
}

// eachToken are operators that compute what belongs to a token from what belongs to the same one.
var eachToken = []string{"Add", "Sub", "Mul", "Div", "Neg", "Cast", "Identity", "Relu", "Tanh", "Sigmoid", "Erf", "Exp", "Greater", "Less", "Where"}

// node follows what is packed through a node. It fails where that looks at more than a token's own, or at padding, in another way
// than attention does.
func (p *packing) node(n *onnx.Node) bool {
	reads := false
	for _, i := range n.Inputs {
		reads = reads || p.packed[i]
		if p.perToken(i) && !p.packed[i] {
			return false
		}
	}
	for _, o := range n.Outputs {
		if p.perToken(o) && !p.packed[o] {
			if !reads {
				return false
			}
			p.packed[o] = true
		}
	}
	return !reads || p.fits(n)
}

// fits tells whether a node gives the same for tokens alone.
func (p *packing) fits(n *onnx.Node) bool {
	switch n.Op {
	case "Attention":
		return p.attention(n, 0, 5)
	case "AttentionGrad":
		return p.attention(n, 1, 7)
	case "Gather": // rows of a table, or the first token of each row
		return n.Int("axis", 0) == 0 && (n.Input(1) == Starts || !p.packed[n.Input(0)])
	case "ScatterElements": // the same backwards
		letters, ok := p.find(firstPlaces, n.Input(1))
		return ok && n.Int("axis", 0) == 0 && letters["starts"] == Starts
	case "LayerNormalization":
		axis := n.Int("axis", -1)
		return axis == -1 || axis == int64(p.rank(n.Input(0)))-1
	case "ReduceSum": // of a gradient
		axes, ok := p.ints(n.Input(1))
		return ok && slices.Equal(axes, []int64{0})
	}
	return n.Domain == Domain || n.Domain == "" && slices.Contains(eachToken, n.Op)
}

// attention tells an Attention, or the gradient of one, where rows begin. Its q, k, v and mask are the inputs from first, and
// the mask has to hide padding.
func (p *packing) attention(n *onnx.Node, first, starts int) bool {
	letters, ok := p.find(hiding, n.Input(first+3))
	least, _ := p.scalar(letters["least"])
	if !ok || letters["seen"] != "attention_mask" || least > -1e30 || n.Domain != Domain || !p.packed[n.Input(first+1)] {
		return false
	}
	lie := packedKeys
	if p.packed[n.Input(first)] {
		lie = packedRows
	}
	setAttr(n, onnx.IntAttr(packedAttr, lie))
	for len(n.Inputs) < starts {
		n.Inputs = append(n.Inputs, "")
	}
	n.Inputs = append(n.Inputs, Starts)
	return true
}
