package kernels

import "metalora/onnx"

// dropout is x * mask for a mask of booleans; gradients go by bytes, which the engine casts sooner.
func dropout(l *lowering, value string, letters map[string]string) bool {
	bits := func(l *lowering, value string, letters map[string]string) bool {
		return l.facts.Values[value].Type == onnx.Bool && as("mask")(l, value, letters)
	}
	for _, cast := range []pattern{node("Cast", bits), node("Cast", node("Cast", bits))} {
		clear(letters)
		if node("Mul", as("x"), cast)(l, value, letters) && l.same(letters["x"], letters["mask"]) {
			return true
		}
	}
	return false
}

// mask replaces x * mask, with what is added to it if nothing else is done with it.
func (l *lowering) mask(n *onnx.Node) {
	if n.Op != "Mul" || !l.float(n.Output(0)) {
		return
	}
	letters, ok := l.find(dropout, n.Output(0))
	if !ok {
		return
	}
	inputs := []string{letters["x"], letters["mask"]}
	add, product := l.only(n.Output(0)), n.Output(0)
	if add == nil || add.Domain != "" || add.Op != "Add" || !l.same(add.Input(0), add.Input(1)) {
		l.replace(n, of(n, "Mask", inputs, n.Outputs))
		return
	}
	other := add.Input(0)
	if other == product {
		other = add.Input(1)
	}
	l.replace(add, of(add, "Mask", append(inputs, other), add.Outputs))
}
