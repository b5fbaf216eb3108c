package kernels

import (
	"slices"

	"metalora/onnx"
)

// most addends that LayerNormalizationGrad takes.
const mostAddends = 9

// The gradient of a layer norm as autodiff writes it: (g - mean(g) - h mean(g h)) r with g = dy * weight and the standardised
// h = (x - m) r.
var normGrad = func() pattern {
	h := named("h", node("Mul", node("Sub", as("x"), as("m")), as("r")))
	g := named("g", node("Mul", as("dy"), as("weight")))
	return node("Mul", node("Sub", node("Sub", g, mean(as("g"))), node("Mul", h, mean(node("Mul", as("g"), as("h"))))), as("r"))
}()

// norm replaces the gradients of a layer norm over the last dimension, by its input and where they are wanted by its weight
// and bias. n is the norm itself.
func (l *lowering) norm(n *onnx.Node) {
	if n.Op != "LayerNormalization" || n.Output(1) == "" || n.Output(2) == "" || !l.normFits(n) {
		return
	}
	for _, end := range slices.Clone(l.readers[n.Output(2)]) {
		if l.gone[end] {
			continue
		}
		letters := map[string]string{"x": n.Input(0), "weight": n.Input(1), "m": n.Output(1), "r": n.Output(2)}
		if normGrad(l, end.Output(0), letters) && l.same(letters["dy"], letters["x"]) {
			l.normEnds(end, letters)
			return
		}
	}
}

// normFits tells whether a norm is one that the operator knows: over the last dimension, in float, a weight for each element.
func (l *lowering) normFits(n *onnx.Node) bool {
	axis := n.Int("axis", -1)
	return (axis == -1 || axis == int64(l.rank(n.Input(0))-1)) && l.rank(n.Input(0)) > 0 && l.rank(n.Input(1)) == 1 &&
		l.float(n.Input(0)) && l.float(n.Input(1)) && l.lastOf(n.Input(0)) == l.lastOf(n.Input(1)) && l.lastOf(n.Input(0)) != ""
}

// lastOf is a value's last dimension, empty where it is not known.
func (l *lowering) lastOf(value string) string {
	s := l.facts.Values[value].Shape
	if len(s) == 0 || s[len(s)-1].Size < 0 && s[len(s)-1].Name == "" {
		return ""
	}
	return s[len(s)-1].String()
}

// normEnds puts the operator where end gives the gradient by x.
func (l *lowering) normEnds(end *onnx.Node, letters map[string]string) {
	dy := letters["dy"]
	outputs := []string{end.Output(0), "", ""}
	biases, inside := l.sumsOf(dy)
	if len(biases) == 1 {
		outputs[2] = biases[0].Output(0)
	}
	inside = append(inside, l.makers[letters["g"]])
	for _, r := range l.readers[dy] {
		if sums, _ := l.sumsOf(r.Output(0)); len(sums) == 1 && product(r, dy, letters["h"]) {
			outputs[1], inside = sums[0].Output(0), append(inside, r)
		}
	}
	addends := []string{dy}
	if l.onlyIn(dy, inside...) {
		addends = l.addends(dy, mostAddends)
	}
	inputs := append([]string{addends[0], letters["x"], letters["m"], letters["r"], letters["weight"]}, addends[1:]...)
	l.replace(end, of(end, "LayerNormalizationGrad", inputs, trimmed(outputs)))
}

// product tells whether a node multiplies two values.
func product(n *onnx.Node, a, b string) bool {
	return n.Domain == "" && n.Op == "Mul" && (n.Input(0) == a && n.Input(1) == b || n.Input(0) == b && n.Input(1) == a)
}

// trimmed is a list of outputs without the absent ones at its end.
func trimmed(outputs []string) []string {
	for len(outputs) > 0 && outputs[len(outputs)-1] == "" {
		outputs = outputs[:len(outputs)-1]
	}
	return outputs
}

// addends are what a chain of additions adds up, in its order, where nothing else reads what comes between: the value itself
// where it is no sum.
func (l *lowering) addends(value string, most int) []string {
	n := l.maker(value, "Add")
	if n == nil || most < 2 || !l.same(n.Input(0), n.Input(1)) || !l.float(value) {
		return []string{value}
	}
	if l.only(n.Input(0)) == nil {
		return slices.Clone(n.Inputs)
	}
	return append(l.addends(n.Input(0), most-1), n.Input(1))
}
