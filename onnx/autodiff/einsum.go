package autodiff

import (
	"slices"
	"strings"

	"metalora/onnx"
)

// equation is an Einsum with the ellipsis written out: a string of labels, one a dimension, for each operand and the result.
type equation struct {
	operands []string
	result   string
}

// y = Σ x1*x2*... over the labels that y lacks: dx_i = Σ dy*(the other operands) over the labels that x_i lacks. A label
// that only x_i has was summed over: ones repeat dx_i along it. One that x_i has twice is a diagonal: dx_i is zero beside it.
func einsum(b *builder, n *onnx.Node, dy value, i int) value {
	e, _ := b.equationOf(n) // the obstacle has seen it
	inputs, terms := []value{dy}, []string{e.result}
	for j, x := range n.Inputs {
		if j != i {
			inputs, terms = append(inputs, x), append(terms, e.operands[j])
		}
	}
	own := e.operands[i]
	missing, sizes := "", []value{}
	for axis, label := range own {
		if !strings.ContainsRune(strings.Join(terms, ""), label) && !strings.ContainsRune(missing, label) {
			missing, sizes = missing+string(label), append(sizes, b.sizeOf(n.Input(i), int64(axis)))
		}
	}
	if missing != "" {
		inputs, terms = append(inputs, b.filled(1, b.concat(sizes...))), append(terms, missing)
	}
	own, inputs, terms = b.diagonals(own, n.Input(i), inputs, terms)
	dx := b.product(inputs, terms, own)
	return b.sumToShape(dx, n.Input(i), b.einsumShape(n, e, i))
}

// diagonals gives each repeated label of x a label of its own, tied to the first by an identity matrix.
func (b *builder) diagonals(labels string, x value, inputs []value, terms []string) (string, []value, []string) {
	distinct := ""
	for axis, label := range labels {
		if strings.ContainsRune(distinct, label) {
			fresh := unusedLabel(labels + distinct + strings.Join(terms, ""))
			size := b.sizeOf(x, int64(axis))
			inputs = append(inputs, b.op("EyeLike", b.filled(0, b.concat(size, size))))
			terms = append(terms, string(label)+fresh)
			distinct += fresh
			continue
		}
		distinct += string(label)
	}
	return distinct, inputs, terms
}

// product is an Einsum of values, of which scalars are multiplied in at the end.
func (b *builder) product(inputs []value, terms []string, result string) value {
	var kept []value
	var labels []string
	scalars := []value{}
	for i, t := range terms {
		if t == "" {
			scalars = append(scalars, inputs[i])
		} else {
			kept, labels = append(kept, inputs[i]), append(labels, t)
		}
	}
	if len(kept) > 0 {
		text := strings.Join(labels, ",") + "->" + result
		scalars = append(scalars, b.with("Einsum", kept, onnx.StringAttr("equation", text)))
	}
	y := scalars[0]
	for _, s := range scalars[1:] {
		y = b.mul(y, s)
	}
	return y
}

// einsumShape is the shape of dx_i before it is summed to x_i's: along a label that x_i repeats, the size of the others.
func (b *builder) einsumShape(n *onnx.Node, e equation, i int) onnx.Shape {
	sizes := map[rune]onnx.Dim{}
	for j, operand := range append(slices.Clone(e.operands), e.result) {
		v := n.Output(0)
		if j < len(n.Inputs) {
			v = n.Input(j)
		}
		shape := b.info[v].Shape
		for axis, label := range []rune(operand) {
			if axis >= len(shape) {
				return nil
			}
			if d, known := sizes[label]; !known || d.Size == 1 {
				sizes[label] = shape[axis]
			}
		}
	}
	shape := onnx.Shape{}
	for _, label := range e.operands[i] {
		shape = append(shape, sizes[label])
	}
	return shape
}

// einsumOtherwise finds an Einsum whose labels cannot be told.
func einsumOtherwise(b *builder, n *onnx.Node) string {
	if why := rankUnknown(allInputs(n)...)(b, n); why != "" {
		return why
	}
	if _, ok := b.equationOf(n); !ok {
		return "there is no rule for its equation"
	}
	return ""
}

func allInputs(n *onnx.Node) (positions []int) {
	for i := range n.Inputs {
		positions = append(positions, i)
	}
	return positions
}

// equationOf reads the equation of an Einsum whose operands' ranks are known.
func (b *builder) equationOf(n *onnx.Node) (equation, bool) {
	a := n.Attr("equation")
	if a == nil {
		return equation{}, false
	}
	text := strings.ReplaceAll(strings.ReplaceAll(a.S, " ", ""), "...", ".")
	left, result, explicit := strings.Cut(text, "->")
	e := equation{operands: strings.Split(left, ","), result: result}
	if len(e.operands) != len(n.Inputs) {
		return equation{}, false
	}
	if !explicit {
		e.result = implicitResult(left)
	}
	dots := 0 // the most dimensions that an ellipsis stands for
	for i, operand := range e.operands {
		dots = max(dots, b.rank(n.Input(i))-len(strings.ReplaceAll(operand, ".", "")))
	}
	stand := ""
	for range dots {
		stand += unusedLabel(text + stand)
	}
	for i, operand := range e.operands {
		k := b.rank(n.Input(i)) - len(strings.ReplaceAll(operand, ".", ""))
		if k < 0 || k > 0 && !strings.Contains(operand, ".") {
			return equation{}, false
		}
		e.operands[i] = strings.Replace(operand, ".", stand[len(stand)-k:], 1)
	}
	e.result = strings.Replace(e.result, ".", stand, 1)
	return e, true
}

// implicitResult is the result where none is written: the ellipsis, then the labels that occur once, in order.
func implicitResult(operands string) string {
	result := ""
	if strings.Contains(operands, ".") {
		result = "."
	}
	for _, label := range slices.Sorted(slices.Values([]rune(operands))) {
		if label != '.' && label != ',' && strings.Count(operands, string(label)) == 1 {
			result += string(label)
		}
	}
	return result
}

// unusedLabel is a letter that a text does not have. No equation has them all.
func unusedLabel(text string) string {
	for _, label := range "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" {
		if !strings.ContainsRune(text, label) {
			return string(label)
		}
	}
	return ""
}
