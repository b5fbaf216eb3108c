// Package autodiff extends an ONNX graph with its own gradients.
//
// The mental model is reverse-mode differentiation on paper. Every value v between the inputs that matter and the output
// that is differentiated gets a cotangent, dOf/dv, of v's own shape and type. The walk starts with ones at the output and
// visits the nodes backwards; a node's rule turns the cotangent of its output into cotangents of its inputs, written as
// ordinary ONNX operators appended to the graph; a value that several nodes read adds up what they say. So the result is
// a plain model that any runtime can run, training kernels or not.
//
// One rule per operator stands in the table in rules.go; the formulas lie by family in the files beside it.
package autodiff

import (
	"fmt"
	"slices"
	"strings"

	"metalora/onnx"
)

// minOpset is the oldest operator set that is differentiated. The rules are written for 13 and later: an older model is
// lifted first.
const minOpset = 11

// What stands before the name of a value in the names of the outputs with its gradient and the ids of its rows.
const (
	gradPrefix = "grad::"
	idsPrefix  = "ids::"
)

// Request says which gradients are wanted.
type Request struct {
	// Of names the value that is differentiated. Where it has several elements, their sum is meant, unless Seed is given.
	Of string
	// Wrt names the values the gradient is taken by: graph inputs, initialisers or intermediate values, of a float type.
	Wrt []string
	// Rows names those of Wrt that are two-dimensional tables read only by Gather along axis 0. Their gradient leaves
	// the graph as the rows that were read and the ids of these rows, to be added up outside.
	Rows []string
	// Seed names a value of Of's shape that is Of's own cotangent, usually an extra input of the graph: the gradients
	// are then vector-Jacobian products with it. Empty means ones.
	Seed string
}

// Gradient says where one gradient leaves the extended graph.
type Gradient struct {
	// Of is the name out of Request.Wrt.
	Of string
	// Output is the graph output with the gradient: of Of's own shape, or [..., width] for one of Request.Rows.
	// Two tables whose looked-up rows were added have the same gradient and then name one output.
	Output string
	// IDs names, for one of Request.Rows only, the int64 value that says which row of the table each row of Output
	// belongs to: a graph input, or the output "ids::" + Of. Its shape is Output's without the last dimension. As in
	// Gather, a negative id counts from the end.
	IDs string
	// Zero says that what is differentiated does not depend on Of, as far as the graph alone tells.
	Zero bool
}

// Blocker is a node that no gradient passes.
type Blocker struct {
	Node   string `json:"node"`
	Op     string `json:"op"`
	Domain string `json:"domain"`
	Why    string `json:"why"`
}

// Unsupported reports every node on the way from the output to a wanted value that no gradient passes.
type Unsupported struct {
	Blockers []Blocker
}

// RequestError is an error of who asks, not of the model.
type RequestError struct{ error }

func (r *RequestError) Unwrap() error { return r.error }

// Error lists the nodes, one a line.
func (u *Unsupported) Error() string {
	var s strings.Builder
	fmt.Fprintf(&s, "no gradient passes %d of the graph's nodes:", len(u.Blockers))
	for _, b := range u.Blockers {
		fmt.Fprintf(&s, "\n  node %q (%s): %s", b.Node, op{b.Domain, b.Op}, b.Why)
	}
	return s.String()
}

// Differentiate returns a copy of m whose graph also computes the requested gradients, and where they are, in the order of
// Wrt. The outputs of m stay, the model m itself is not touched. Only what the gradients need is added; a value that Of
// does not depend on has zeros for gradient. Integers and booleans carry no gradient: a way through them counts as none.
//
// The operator set stays unless a gradient needs a newer one (all of them: 13; adding up at indices: 16). An error is
// about the request, a [*RequestError], or the model; where nodes lack a rule it is an [*Unsupported] with all of them.
func Differentiate(m *onnx.Model, r Request) (*onnx.Model, []Gradient, error) {
	if v := m.Opsets[""]; v < minOpset {
		return nil, nil, fmt.Errorf("differentiating a model of opset %d: %d is the oldest that is differentiated", v, minOpset)
	}
	if err := m.Check(); err != nil {
		return nil, nil, fmt.Errorf("differentiating %q: %w", r.Of, err)
	}
	m, err := onnx.Lift13(m)
	if err != nil {
		return nil, nil, fmt.Errorf("differentiating %q: %w", r.Of, err)
	}
	b, err := prepare(m.Clone(), r)
	if err != nil {
		return nil, nil, fmt.Errorf("differentiating %q: %w", r.Of, err)
	}
	b.backward(r)
	if len(b.blockers) > 0 {
		return nil, nil, fmt.Errorf("differentiating %q: %w", r.Of, &Unsupported{b.blockers})
	}
	return b.model, b.leave(r), nil
}

// prepare is the builder for m, which it changes, once every operator that is a chain of others is written as such.
func prepare(m *onnx.Model, r Request) (*builder, error) {
	facts, err := onnx.Analyse(m)
	if err != nil {
		return nil, err
	}
	b := newBuilder(m, facts)
	if err := b.check(r); err != nil {
		return nil, &RequestError{err}
	}
	found := b.expand(r)
	if len(b.blockers) > 0 { // the graph holds parts of what they were to be written as: no walk could go on
		return nil, &Unsupported{b.blockers}
	}
	if found {
		return prepare(m, r) // an expansion may hold others, and its values have types and shapes of their own
	}
	return b, nil
}

// check refuses a request that the graph cannot answer.
func (b *builder) check(r Request) error {
	if err := b.checkFloat(r.Of); err != nil {
		return err
	}
	for i, w := range r.Wrt {
		if err := b.checkFloat(w); err != nil {
			return fmt.Errorf("gradient by %q: %w", w, err)
		}
		if slices.Contains(r.Wrt[:i], w) {
			return fmt.Errorf("gradient by %q: asked for twice", w)
		}
		if n := b.decider(w); n != nil {
			return fmt.Errorf("gradient by %q: it decides a shape, of the output of %v, and a shape has no gradient", w, n)
		}
		if b.exists(gradPrefix + w) {
			return fmt.Errorf("gradient by %q: the graph already has a value %q", w, gradPrefix+w)
		}
	}
	for _, t := range r.Rows {
		if err := b.checkTable(r, t); err != nil {
			return fmt.Errorf("gradient by rows of %q: %w", t, err)
		}
		b.tables[t] = true
	}
	if r.Seed == "" {
		return nil
	}
	if err := b.checkFloat(r.Seed); err != nil {
		return fmt.Errorf("seed %q: %w", r.Seed, err)
	}
	return nil
}

func (b *builder) checkFloat(v value) error {
	if !b.exists(v) {
		return fmt.Errorf("the graph has no value %q", v)
	}
	if t := b.info[v].Type; t != onnx.Undefined && !t.IsFloat() {
		return fmt.Errorf("%q is of type %v, which has no gradient", v, t)
	}
	return nil
}
