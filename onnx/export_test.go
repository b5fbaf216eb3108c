package onnx

// FirstInPlace is firstInPlace, for the test that compares it with the operators themselves.
var FirstInPlace = firstInPlace

// Case is a row of the shape tables, for the test that runs them.
type Case struct {
	Name  string
	Model *Model
}

// Cases builds the graphs of all shape tables.
func Cases() []Case {
	var out []Case
	for _, c := range inferCases() {
		out = append(out, Case{c.name, c.model()})
	}
	return out
}

// Evaluate is a dimension's size where its symbols have the given sizes; false where nothing is known of it.
func Evaluate(d Dim, symbols map[string]int64) (int64, bool) {
	n := d.number()
	if n == nil {
		return 0, false
	}
	sum := int64(0)
	for _, t := range n {
		product := t.coef
		for _, s := range t.symbols {
			product *= symbols[s]
		}
		sum += product
	}
	return sum, true
}
