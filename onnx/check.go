package onnx

import (
	"errors"
	"fmt"
)

// Check says what is wrong with the form of a model, naming the node or value at fault: names that are empty, given
// twice or used before they are defined, operator sets that are used but not imported, tensors whose data has another
// size than their shape, outputs that nothing computes. Whether the operators' inputs fit is for [Infer] to say.
func (m *Model) Check() error {
	if err := m.check(); err != nil {
		return fmt.Errorf("checking ONNX model: %w", err)
	}
	return nil
}

func (m *Model) check() error {
	if m.Graph == nil {
		return errors.New("it holds no graph")
	}
	if m.IRVersion < 1 {
		return fmt.Errorf("IR version %d", m.IRVersion)
	}
	for domain, version := range m.Opsets {
		if version < 1 {
			return fmt.Errorf("operator set %q in version %d", domain, version)
		}
	}
	c := checker{opsets: m.Opsets, defined: map[string]string{}, later: map[string]*Node{}}
	for _, step := range []func(*Graph) error{c.inputs, c.initializers, c.nodes, c.outputs} {
		if err := step(m.Graph); err != nil {
			return err
		}
	}
	return nil
}

// checker remembers what has been defined on the way from a graph's inputs to its outputs.
type checker struct {
	opsets  map[string]int64
	defined map[string]string // by name of the value: what defines it
	later   map[string]*Node  // by name of the value: the node that computes it, wherever it stands
}

func (c *checker) define(name, by string) error {
	if name == "" {
		return fmt.Errorf("%s has no name", by)
	}
	if before, ok := c.defined[name]; ok {
		return fmt.Errorf("%q is defined twice: by %s and by %s", name, before, by)
	}
	c.defined[name] = by
	return nil
}

func (c *checker) inputs(g *Graph) error {
	for _, v := range g.Inputs {
		if err := c.define(v.Name, "an input"); err != nil {
			return err
		}
		if v.Type == Undefined {
			return fmt.Errorf("input %q has no type", v.Name)
		}
	}
	return nil
}

// initializers may bear the name of an input, whose default value they then are.
func (c *checker) initializers(g *Graph) error {
	inputs := map[string]ValueInfo{}
	for _, v := range g.Inputs {
		inputs[v.Name] = v
	}
	seen := map[string]bool{}
	for _, t := range g.Initializers {
		if err := t.Check(); err != nil {
			return fmt.Errorf("initializer: %w", err)
		}
		if v, ok := inputs[t.Name]; ok && !seen[t.Name] {
			if !v.holds(t) {
				return fmt.Errorf("initializer %q is %v %d, but the input of this name %v %v", t.Name, t.Type, t.Dims, v.Type, v.Shape)
			}
		} else if err := c.define(t.Name, "an initializer"); err != nil {
			return err
		}
		seen[t.Name] = true
	}
	return nil
}

// holds reports whether a tensor can be a value of this description.
func (v ValueInfo) holds(t *Tensor) bool {
	if v.Type != t.Type || v.Shape != nil && len(v.Shape) != len(t.Dims) {
		return false
	}
	for i, d := range v.Shape {
		if d.Size >= 0 && d.Size != t.Dims[i] {
			return false
		}
	}
	return true
}

func (c *checker) nodes(g *Graph) error {
	for _, n := range g.Nodes {
		for _, o := range n.Outputs {
			c.later[o] = n
		}
	}
	for _, n := range g.Nodes {
		if err := c.node(n); err != nil {
			return fmt.Errorf("%v: %w", n, err)
		}
	}
	return nil
}

func (c *checker) node(n *Node) error {
	if n.Op == "" {
		return errors.New("it names no operator")
	}
	if c.opsets[n.Domain] == 0 {
		return fmt.Errorf("the model imports no version of its operator set %q", n.Domain)
	}
	for _, name := range n.Inputs {
		if _, ok := c.defined[name]; ok || name == "" {
			continue
		}
		if by := c.later[name]; by != nil {
			return fmt.Errorf("it reads %q, which only a later node computes: %v", name, by)
		}
		return fmt.Errorf("it reads %q, which nothing defines", name)
	}
	if err := checkAttrs(n.Attrs); err != nil {
		return err
	}
	named := 0
	for _, o := range n.Outputs {
		if o == "" {
			continue // an optional output that is not wanted
		}
		if err := c.define(o, n.String()); err != nil {
			return err
		}
		named++
	}
	if named == 0 {
		return errors.New("it has no output")
	}
	return nil
}

func checkAttrs(attrs []Attr) error {
	seen := map[string]bool{}
	for _, a := range attrs {
		if a.Name == "" || seen[a.Name] {
			return fmt.Errorf("attribute %q is nameless or given twice", a.Name)
		}
		seen[a.Name] = true
		if a.Kind != KindTensor {
			continue
		}
		if a.T == nil {
			return fmt.Errorf("attribute %q: the tensor is missing", a.Name)
		}
		if err := a.T.Check(); err != nil {
			return fmt.Errorf("attribute %q: %w", a.Name, err)
		}
	}
	return nil
}

func (c *checker) outputs(g *Graph) error {
	if len(g.Outputs) == 0 {
		return errors.New("the graph has no output")
	}
	seen := map[string]bool{}
	for _, v := range g.Outputs {
		if seen[v.Name] {
			return fmt.Errorf("output %q is named twice", v.Name)
		}
		seen[v.Name] = true
		if _, ok := c.defined[v.Name]; !ok {
			return fmt.Errorf("output %q: nothing in the graph computes it", v.Name)
		}
	}
	return nil
}
