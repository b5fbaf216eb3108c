package autodiff

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"metalora/onnx"
)

// cotangentPrefix stands before the name of an output in the name of the input with its cotangent.
const cotangentPrefix = "cotangent::"

// Wish says by patterns which gradients a model is to return.
type Wish struct {
	// Of names the output that is differentiated; empty: the model's first.
	Of string
	// Wrt holds patterns that match whole names: * stands for any characters, ? for one; a name matches itself.
	Wrt []string
}

// Extension is a model that also returns gradients, and what there is to say about it.
type Extension struct {
	Model *onnx.Model
	// Of is the output that is differentiated.
	Of string
	// Cotangent names the extra input that takes Of's cotangent, of Of's shape. It is empty where Of has one element,
	// which is differentiated as it is.
	Cotangent string
	// Gradients lists what was added, in the order of the initialisers, then of the inputs.
	Gradients []Gradient
	// Integers lists values that the patterns match, but that are no floats and so have no gradient.
	Integers []string
}

// Extend adds an output "grad::" + NAME for each initialiser and each float input that the wish's patterns match. It is
// [Differentiate] for a model and an output of any shape: where the output has several elements, or may have, the
// gradients are vector-Jacobian products with a new input "cotangent::" + Of.
//
// A pattern that matches nothing, and patterns that match integers alone, are a [*RequestError].
func Extend(m *onnx.Model, w Wish) (*Extension, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	of, err := outputOf(m, w.Of)
	if err != nil {
		return nil, err
	}
	floats, integers, err := match(m.Graph, w.Wrt)
	if err != nil {
		return nil, err
	}
	e := &Extension{Of: of.Name, Integers: integers}
	m, r := m.Clone(), Request{Of: of.Name, Wrt: floats}
	if !oneElement(of.Shape) {
		if r.Seed, err = addCotangent(m, of); err != nil {
			return nil, err
		}
		e.Cotangent = r.Seed
	}
	e.Model, e.Gradients, err = Differentiate(m, r)
	return e, err
}

// outputOf finds the output that is differentiated, with all that is known of its shape.
func outputOf(m *onnx.Model, name string) (onnx.ValueInfo, error) {
	outputs := m.Graph.Outputs
	i := slices.IndexFunc(outputs, func(v onnx.ValueInfo) bool { return v.Name == name })
	switch {
	case name == "":
		i = 0 // Check has seen one
	case i < 0:
		return onnx.ValueInfo{}, &RequestError{fmt.Errorf("the model has no output %q; it has %s", name, quoted(outputs))}
	}
	found, err := onnx.Infer(m)
	if err != nil {
		return onnx.ValueInfo{}, err
	}
	of := found[outputs[i].Name]
	if of.Type != onnx.Undefined && !of.Type.IsFloat() {
		return of, &RequestError{fmt.Errorf("output %q is of type %v, which has no gradient; choose another of %s", of.Name, of.Type, quoted(outputs))}
	}
	return of, nil
}

// addCotangent gives the model an input for an output's cotangent.
func addCotangent(m *onnx.Model, of onnx.ValueInfo) (string, error) {
	in := onnx.ValueInfo{Name: cotangentPrefix + of.Name, Type: of.Type, Shape: of.Shape}
	if in.Type == onnx.Undefined {
		return "", fmt.Errorf("the type of output %q is not known, and its cotangent needs one", of.Name)
	}
	if defines(m.Graph, in.Name) {
		return "", &RequestError{fmt.Errorf("the graph already has a value %q", in.Name)}
	}
	m.Graph.Inputs = append(m.Graph.Inputs, in)
	return in.Name, nil
}

// oneElement reports whether a shape is known to have one element.
func oneElement(s onnx.Shape) bool {
	return s != nil && !slices.ContainsFunc(s, func(d onnx.Dim) bool { return d.Size != 1 })
}

// defines reports whether anything in the graph bears a name.
func defines(g *onnx.Graph, name string) bool {
	return slices.ContainsFunc(g.Inputs, func(v onnx.ValueInfo) bool { return v.Name == name }) ||
		slices.ContainsFunc(g.Initializers, func(t *onnx.Tensor) bool { return t.Name == name }) ||
		slices.ContainsFunc(g.Nodes, func(n *onnx.Node) bool { return slices.Contains(n.Outputs, name) })
}

// match lists the initialisers and inputs that some pattern matches, floats apart from the others.
func match(g *onnx.Graph, patterns []string) (floats, others []string, err error) {
	if len(patterns) == 0 {
		return nil, nil, &RequestError{errors.New("no pattern says by what to differentiate")}
	}
	matched := make([]bool, len(patterns))
	consider := func(name string, t onnx.DType) {
		if slices.Contains(floats, name) || slices.Contains(others, name) || !matchesAny(patterns, name, matched) {
			return
		}
		if t.IsFloat() {
			floats = append(floats, name)
		} else {
			others = append(others, name)
		}
	}
	for _, t := range g.Initializers {
		consider(t.Name, t.Type)
	}
	for _, in := range g.Inputs {
		consider(in.Name, in.Type)
	}
	if i := slices.Index(matched, false); i >= 0 {
		return nil, nil, &RequestError{fmt.Errorf("%q matches no initializer and no input of the model", patterns[i])}
	}
	if len(floats) == 0 {
		return nil, nil, &RequestError{fmt.Errorf("%s: only floats have a gradient", strings.Join(others, ", "))}
	}
	return floats, others, nil
}

// matchesAny tries all patterns on a name and notes which ones match.
func matchesAny(patterns []string, name string, matched []bool) bool {
	any := false
	for i, p := range patterns {
		if Matches(p, name) {
			matched[i], any = true, true
		}
	}
	return any
}

// Matches reports whether a pattern matches the whole name: * stands for any characters, ? for one; a name matches itself.
func Matches(pattern, name string) bool { return pattern == name || wild(pattern, name) }

// wild goes back to the last * alone, the only one worth it.
func wild(pattern, name string) bool {
	p, n, star, resume := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p, n = p+1, n+1
		case star >= 0:
			resume++
			p, n = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

func quoted(values []onnx.ValueInfo) string {
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = fmt.Sprintf("%q", v.Name)
	}
	return strings.Join(names, ", ")
}
