package kernels

import (
	"maps"
	"math"
	"slices"

	"metalora/onnx"
)

// pattern tells whether a value is made as some formula says, and binds the formula's letters to values. On failure letters
// may be bound to anything.
type pattern func(l *lowering, value string, letters map[string]string) bool

// as binds a letter to any value, or wants the value that it is bound to.
func as(letter string) pattern {
	return func(_ *lowering, value string, letters map[string]string) bool {
		if bound, ok := letters[letter]; ok {
			return bound == value
		}
		letters[letter] = value
		return true
	}
}

// named binds a letter to a value that is made as a pattern says.
func named(letter string, p pattern) pattern {
	return func(l *lowering, value string, letters map[string]string) bool {
		return as(letter)(l, value, letters) && p(l, value, letters)
	}
}

// number wants a constant of one element, to float32's precision.
func number(want float64) pattern {
	return func(l *lowering, value string, _ map[string]string) bool {
		got, ok := l.scalar(value)
		return ok && math.Abs(float64(got)-want) <= 2e-7*math.Abs(want)
	}
}

// node wants an operator of ONNX's over inputs that are made so. Factors and summands may stand in any order.
func node(op string, inputs ...pattern) pattern {
	return func(l *lowering, value string, letters map[string]string) bool {
		n := l.maker(value, op)
		if n == nil || len(n.Inputs) < len(inputs) {
			return false
		}
		before := maps.Clone(letters)
		if each(l, n.Inputs, inputs, letters) {
			return true
		}
		if op != "Add" && op != "Mul" {
			return false
		}
		maps.DeleteFunc(letters, func(letter, _ string) bool { _, ok := before[letter]; return !ok })
		maps.Copy(letters, before)
		return each(l, []string{n.Inputs[1], n.Inputs[0]}, inputs, letters)
	}
}

func each(l *lowering, values []string, patterns []pattern, letters map[string]string) bool {
	for i, p := range patterns {
		if !p(l, values[i], letters) {
			return false
		}
	}
	return true
}

// attributes wants floats among the attributes of the node that makes a value, beside what the pattern says.
func attributes(p pattern, want map[string]float32) pattern {
	return func(l *lowering, value string, letters map[string]string) bool {
		if !p(l, value, letters) {
			return false
		}
		for name, v := range want {
			if a := l.makers[value].Attr(name); a == nil || a.F != v {
				return false
			}
		}
		return true
	}
}

// mean wants the mean over the last dimension, which stays with size 1.
func mean(p pattern) pattern {
	return func(l *lowering, value string, letters map[string]string) bool {
		n := l.maker(value, "ReduceMean")
		return n != nil && n.Int("keepdims", 1) == 1 && l.last(n) && p(l, n.Input(0), letters)
	}
}

// last tells whether a reduction runs over the last dimension alone.
func (l *lowering) last(n *onnx.Node) bool {
	axes := n.Ints("axes")
	if n.Input(1) != "" {
		axes, _ = l.ints(n.Input(1))
	}
	return len(axes) == 1 && (axes[0] == -1 || axes[0] == int64(l.rank(n.Input(0))-1))
}

// find matches a pattern against a value.
func (l *lowering) find(p pattern, value string) (letters map[string]string, ok bool) {
	letters = map[string]string{}
	return letters, p(l, value, letters)
}

// of is a node of our domain in the place of another.
func of(at *onnx.Node, op string, inputs, outputs []string, attrs ...onnx.Attr) *onnx.Node {
	return &onnx.Node{Name: at.Name, Domain: Domain, Op: op, Inputs: slices.Clone(inputs), Outputs: slices.Clone(outputs), Attrs: attrs}
}
