package exported

import (
	"math"

	"metalora/onnx"
)

// norms makes one LayerNormalization of the nine operators that exporters write below opset 17:
//
//	d = x - mean(x);  y = d / sqrt(mean(d²) + ε) · weight + bias
func (r *rewriter) norms() error {
	const firstOpset = 17
	if r.model.Opset("") < firstOpset {
		return nil
	}
	x := r.index()
	r.replace(func(b *onnx.Builder, n *onnx.Node) {
		if p, ok := x.norm(n); ok {
			n = &onnx.Node{Name: n.Name, Op: "LayerNormalization", Inputs: []string{p.x, p.weight, p.bias}, Outputs: n.Outputs, Extra: n.Extra,
				Attrs: []onnx.Attr{onnx.IntAttr("axis", -1), onnx.FloatAttr("epsilon", p.epsilon)}}
		}
		b.Graph.Nodes = append(b.Graph.Nodes, n)
	})
	return r.prune()
}

// normParts are what a layer norm in pieces is made of.
type normParts struct {
	x, weight, bias string
	epsilon         float32
}

// norm recognises the last of the nine, the sum with the bias.
func (x *index) norm(n *onnx.Node) (p normParts, ok bool) {
	if n.Op != "Add" || n.Domain != "" {
		return p, false
	}
	for i, bias := range n.Inputs {
		product := x.maker(n.Input(1-i), "Mul")
		if product == nil || !x.vector(bias, -1) {
			continue
		}
		for j, weight := range product.Inputs {
			quotient := x.maker(product.Input(1-j), "Div")
			if quotient == nil || !x.vector(weight, -1) {
				continue
			}
			p.weight, p.bias = weight, bias
			if p.x, p.epsilon, ok = x.standardised(quotient); ok {
				return p, true
			}
		}
	}
	return p, false
}

// standardised recognises (x - mean(x)) / sqrt(mean((x - mean(x))²) + ε).
func (x *index) standardised(quotient *onnx.Node) (v string, epsilon float32, ok bool) {
	d := quotient.Input(0)
	difference, root := x.maker(d, "Sub"), x.maker(quotient.Input(1), "Sqrt")
	if difference == nil || root == nil {
		return "", 0, false
	}
	v = difference.Input(0)
	mean := x.maker(difference.Input(1), "ReduceMean")
	sum := x.maker(root.Input(0), "Add")
	if mean == nil || sum == nil || mean.Input(0) != v || !x.lastAxis(mean) {
		return "", 0, false
	}
	for i := range sum.Inputs {
		variance := x.maker(sum.Input(1-i), "ReduceMean")
		if epsilon, ok = x.scalar(sum.Input(i)); ok && variance != nil && x.lastAxis(variance) && x.squares(variance.Input(0), d) {
			return v, epsilon, true
		}
	}
	return "", 0, false
}

// lastAxis tells that a reduction is over the last axis alone, which stays with size 1.
func (x *index) lastAxis(n *onnx.Node) bool {
	axes := n.Ints("axes")
	if t := x.constants[n.Input(1)]; t != nil && len(t.Raw) == 8 {
		axes = ints(t)
	}
	return len(axes) == 1 && axes[0] == -1 && n.Int("keepdims", 1) == 1
}

// squares tells whether v is d².
func (x *index) squares(v, d string) bool {
	if n := x.maker(v, "Pow"); n != nil {
		two, ok := x.scalar(n.Input(1))
		return ok && two == 2 && n.Input(0) == d
	}
	n := x.maker(v, "Mul")
	return n != nil && n.Input(0) == d && n.Input(1) == d
}

// gelus makes one Gelu of x/2 · (1 + erf(x/√2)), in whichever order an exporter multiplies.
func (r *rewriter) gelus() error {
	if r.model.Opset("") < onnx.DefaultOpset {
		return nil
	}
	x := r.index()
	r.replace(func(b *onnx.Builder, n *onnx.Node) {
		if v, ok := x.gelu(n); ok {
			n = &onnx.Node{Name: n.Name, Op: "Gelu", Inputs: []string{v}, Outputs: n.Outputs, Extra: n.Extra}
		}
		b.Graph.Nodes = append(b.Graph.Nodes, n)
	})
	return r.prune()
}

// gelu recognises a product of exactly the three factors ½, x and 1 + erf(x/√2).
func (x *index) gelu(n *onnx.Node) (string, bool) {
	if n.Op != "Mul" || n.Domain != "" {
		return "", false
	}
	var factors []string
	for _, v := range n.Inputs {
		if inner := x.maker(v, "Mul"); inner != nil && len(factors) < 2 {
			factors = append(factors, inner.Inputs...)
		} else {
			factors = append(factors, v)
		}
	}
	if len(factors) != 3 {
		return "", false
	}
	var v, argument string
	half := false
	for _, f := range factors {
		if s, ok := x.scalar(f); ok && s == 0.5 {
			half = true
		} else if a, ok := x.onePlusErf(f); ok {
			argument = a
		} else {
			v = f
		}
	}
	return v, half && v != "" && argument == v
}

// onePlusErf recognises 1 + erf(v/√2) and returns v.
func (x *index) onePlusErf(f string) (string, bool) {
	sum := x.maker(f, "Add")
	if sum == nil {
		return "", false
	}
	for i := range sum.Inputs {
		one, ok := x.scalar(sum.Input(i))
		erf := x.maker(sum.Input(1-i), "Erf")
		if ok && one == 1 && erf != nil {
			return x.overRoot2(erf.Input(0))
		}
	}
	return "", false
}

// overRoot2 recognises v/√2 and returns v. A root that was rounded to 16 bits is meant for √2, too.
func (x *index) overRoot2(q string) (string, bool) {
	const root2, within = math.Sqrt2, 5e-4
	near := func(s float32, want float64) bool { return float64(s)-want < within && want-float64(s) < within }
	if n := x.maker(q, "Div"); n != nil {
		s, ok := x.scalar(n.Input(1))
		return n.Input(0), ok && near(s, root2)
	}
	if n := x.maker(q, "Mul"); n != nil {
		for i := range n.Inputs {
			if s, ok := x.scalar(n.Input(i)); ok && near(s, 1/root2) {
				return n.Input(1 - i), true
			}
		}
	}
	return "", false
}
