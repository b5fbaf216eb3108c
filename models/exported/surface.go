package exported

import (
	"fmt"
	"slices"

	"metalora/onnx"
)

// The names of the graph's surface.
const (
	inputIDs      = "input_ids"
	attentionMask = "attention_mask"
	tokenTypes    = "token_type_ids"
	logits        = "logits"
)

// surface gives inputs and outputs the names, types and symbols of metalora's own graphs, or says what is in the way.
func (r *rewriter) surface() error {
	g := r.model.Graph
	inputs := g.Inputs
	found := map[string]onnx.ValueInfo{}
	for _, v := range inputs {
		if !slices.Contains([]string{inputIDs, attentionMask, tokenTypes}, v.Name) {
			return fmt.Errorf("input %q: a text encoder reads %s, %s and perhaps %s, and no other", v.Name, inputIDs, attentionMask, tokenTypes)
		}
		if err := checkInput(v); err != nil {
			return fmt.Errorf("input %q: %w", v.Name, err)
		}
		found[v.Name] = v
	}
	g.Inputs = nil
	for _, name := range []string{inputIDs, attentionMask, tokenTypes} {
		v, ok := found[name]
		if !ok && name != tokenTypes {
			return fmt.Errorf("input %q is missing: without it, pads cannot be told from tokens", name)
		}
		if ok {
			r.input(v)
		}
	}
	return r.output()
}

func checkInput(v onnx.ValueInfo) error {
	if v.Type != onnx.Int64 && v.Type != onnx.Int32 {
		return fmt.Errorf("it is of type %v, want int64 or int32", v.Type)
	}
	if len(v.Shape) != 2 {
		return fmt.Errorf("its shape is %v, want [rows, length]", v.Shape)
	}
	for _, d := range v.Shape {
		if d.Size >= 0 {
			return fmt.Errorf("its shape %v is fixed; export the model with free (dynamic) batch and sequence axes", v.Shape)
		}
	}
	return nil
}

// input declares an input as int64 [rows, length]; where the graph reads int32 a Cast stands before it.
func (r *rewriter) input(v onnx.ValueInfo) {
	g := r.model.Graph
	g.Inputs = append(g.Inputs, onnx.ValueInfo{Name: v.Name, Type: onnx.Int64, Shape: onnx.Dims("rows", "length")})
	if v.Type == onnx.Int64 {
		return
	}
	nodes := g.Nodes
	g.Nodes = nil
	b := onnx.NewBuilder(g)
	b.Reserve(nodes)
	cast := b.Op("Cast", []string{v.Name}, onnx.IntAttr("to", int64(onnx.Int32)))
	for _, n := range nodes {
		c := *n
		c.Inputs = slices.Clone(n.Inputs)
		for i, name := range c.Inputs {
			if name == v.Name {
				c.Inputs[i] = cast
			}
		}
		g.Nodes = append(g.Nodes, &c)
	}
}

// output keeps the one output that has the logits and gives it their name; a model without one gets a head that has.
func (r *rewriter) output() error {
	if err := r.infer(); err != nil {
		return err
	}
	g := r.model.Graph
	v := g.Outputs[0]
	for _, o := range g.Outputs {
		if o.Name == logits {
			v = o
		}
	}
	shape := r.info[v.Name].Shape
	if len(shape) != 2 || shape[1].Size < 1 || shape[0].Name != "rows" || v.Name != logits && len(g.Outputs) > 1 {
		return r.addHead()
	}
	g.Outputs = []onnx.ValueInfo{{Name: logits, Type: onnx.Float, Shape: onnx.Dims("rows", shape[1].Size)}}
	if v.Name != logits {
		r.rename(v.Name, logits)
	}
	return nil
}

// rename gives a value another name, wherever it stands.
func (r *rewriter) rename(from, to string) {
	for i, n := range r.model.Graph.Nodes {
		c := *n
		c.Inputs, c.Outputs = slices.Clone(n.Inputs), slices.Clone(n.Outputs)
		for _, list := range [][]string{c.Inputs, c.Outputs} {
			for j, v := range list {
				if v == from {
					list[j] = to
				}
			}
		}
		r.model.Graph.Nodes[i] = &c
	}
}
