package exported

import (
	"metalora/onnx"
)

// microsoft is the domain of the operators that ONNX Runtime's optimizer fuses others into.
const microsoft = "com.microsoft"

// unfuse writes fused operators as plain ones: only then are the linear layers, whose biases they swallow, and the places
// where training drops something there to be seen. What it does not know stays as it is.
func (r *rewriter) unfuse() error {
	if err := r.infer(); err != nil {
		return err
	}
	x, shared := r.index(), map[string]string{}
	r.replace(func(b *onnx.Builder, n *onnx.Node) {
		u := unfusing{b, r, x, shared}
		switch write := unfuses[n.Domain][n.Op]; {
		case write != nil && write(u, n):
		default:
			b.Graph.Nodes = append(b.Graph.Nodes, n)
		}
	})
	return r.prune()
}

// unfusing writes the plain form of one node.
type unfusing struct {
	*onnx.Builder
	r      *rewriter
	x      *index
	shared map[string]string // by mask: what several nodes add to their scores
}

// unfuses appends the plain form of a node, or does nothing and says so; by domain and operator.
var unfuses = map[string]map[string]func(unfusing, *onnx.Node) bool{"": {"Attention": unfusing.standard}, microsoft: {
	"Gelu":                    unfusing.gelu,
	"BiasGelu":                unfusing.biasGelu,
	"FastGelu":                unfusing.fastGelu,
	"SkipLayerNormalization":  unfusing.skipNorm,
	"EmbedLayerNormalization": unfusing.embeddings,
	"Attention":               unfusing.attention,
	"MultiHeadAttention":      unfusing.multiHead,
}}

func (u unfusing) gelu(n *onnx.Node) bool {
	u.Named(n.Output(0), "Gelu", []string{n.Input(0)})
	return true
}

func (u unfusing) biasGelu(n *onnx.Node) bool {
	u.Named(n.Output(0), "Gelu", []string{u.Op("Add", n.Inputs)})
	return true
}

// fastGelu is the approximation by tanh, with a bias or without.
func (u unfusing) fastGelu(n *onnx.Node) bool {
	x := n.Input(0)
	if n.Input(1) != "" {
		x = u.Op("Add", n.Inputs)
	}
	u.Named(n.Output(0), "Gelu", []string{x}, onnx.StringAttr("approximate", "tanh"))
	return true
}

// skipNorm is LayerNorm(input + bias + skip); its fourth output is the sum.
func (u unfusing) skipNorm(n *onnx.Node) bool {
	if n.Output(1) != "" || n.Output(2) != "" {
		return false
	}
	sum := n.Input(0)
	if bias := n.Input(4); bias != "" {
		sum = u.Op("Add", []string{sum, bias})
	}
	if inputs := []string{sum, n.Input(1)}; n.Output(3) != "" {
		sum = u.Named(n.Output(3), "Add", inputs)
	} else {
		sum = u.Op("Add", inputs)
	}
	u.norm(n, sum, n.Input(2), n.Input(3))
	return true
}

// norm appends the layer norm of x as n's first output.
func (u unfusing) norm(n *onnx.Node, x, scale, bias string) {
	inputs := []string{x, scale}
	if bias != "" {
		inputs = append(inputs, bias)
	}
	u.Named(n.Output(0), "LayerNormalization", inputs, onnx.IntAttr("axis", -1), onnx.FloatAttr("epsilon", n.Float("epsilon", 1e-12)))
}

// embeddings is LayerNorm(word + position + segment). Its second output has for each row the number of tokens that the mask
// shows; without position ids, positions count from 0.
func (u unfusing) embeddings(n *onnx.Node) bool {
	ids, segments, mask, positions := u.x.uncast(n.Input(0)), u.x.uncast(n.Input(1)), n.Input(7), n.Input(8)
	if mask == "" && n.Output(1) != "" && len(u.x.readers[n.Output(1)]) > 0 {
		return false // the engine then fills in zeros, which nobody can mean
	}
	if positions == "" {
		length := u.Op("Gather", []string{u.Op("Shape", []string{ids}), u.Int(1)})
		positions = u.Op("Unsqueeze", []string{u.Op("Range", []string{u.Int(0), length, u.Int(1)}), u.Ints(0)})
	}
	sum := u.Op("Gather", []string{n.Input(2), ids}, onnx.IntAttr("axis", 0))
	if segments != "" {
		sum = u.Op("Add", []string{sum, u.Op("Gather", []string{n.Input(4), segments}, onnx.IntAttr("axis", 0))})
	}
	position := u.Op("Gather", []string{n.Input(3), positions}, onnx.IntAttr("axis", 0))
	if inputs := []string{sum, position}; n.Output(2) != "" {
		sum = u.Named(n.Output(2), "Add", inputs)
	} else {
		sum = u.Op("Add", inputs)
	}
	u.norm(n, sum, n.Input(5), n.Input(6))
	if n.Output(1) != "" && mask != "" {
		u.Named(n.Output(1), "ReduceSum", []string{mask, u.Ints(1)}, onnx.IntAttr("keepdims", 0))
	}
	return true
}
