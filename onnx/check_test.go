package onnx

import (
	"strings"
	"testing"
)

// sum is a small graph that is right: y = x + w.
func sum() *Model {
	w := Floats([]int64{2}, 1, 2)
	w.Name = "w"
	return NewModel(&Graph{
		Inputs:       []ValueInfo{{"x", Float, Dims("rows", 2)}},
		Outputs:      []ValueInfo{{Name: "y"}},
		Initializers: []*Tensor{w},
		Nodes:        []*Node{{Name: "add", Op: "Add", Inputs: []string{"x", "w"}, Outputs: []string{"y"}}},
	})
}

func relu(in, out string) *Node {
	return &Node{Name: "relu", Op: "Relu", Inputs: []string{in}, Outputs: []string{out}}
}

var checkCases = []struct {
	name string
	edit func(*Model)
	want string // part of the error; empty: none
}{
	{"right", func(*Model) {}, ""},
	{"default of an input", func(m *Model) { m.Graph.Inputs = append(m.Graph.Inputs, ValueInfo{"w", Float, Dims(2)}) }, ""},
	{"unwanted output", func(m *Model) { m.Graph.Nodes[0].Outputs = []string{"y", ""} }, ""},
	{"absent input", func(m *Model) { m.Graph.Nodes[0].Inputs = []string{"x", "w", ""} }, ""},
	{"no graph", func(m *Model) { m.Graph = nil }, "no graph"},
	{"no IR version", func(m *Model) { m.IRVersion = 0 }, "IR version"},
	{"opset 0", func(m *Model) { m.Opsets[""] = 0 }, `operator set ""`},
	{"unknown domain", func(m *Model) { m.Graph.Nodes[0].Domain = "com.microsoft" }, `"add" (com.microsoft.Add): the model imports no version`},
	{"two inputs", func(m *Model) { m.Graph.Inputs = append(m.Graph.Inputs, m.Graph.Inputs[0]) }, `"x" is defined twice`},
	{"nameless input", func(m *Model) { m.Graph.Inputs[0].Name = "" }, "an input has no name"},
	{"untyped input", func(m *Model) { m.Graph.Inputs[0].Type = Undefined }, `input "x" has no type`},
	{"two initializers", func(m *Model) { m.Graph.Initializers = append(m.Graph.Initializers, m.Graph.Initializers[0]) }, `"w" is defined twice`},
	{"default of another shape", func(m *Model) { m.Graph.Inputs = append(m.Graph.Inputs, ValueInfo{"w", Float, Dims(3)}) }, `initializer "w" is float [2], but the input`},
	{"default of another type", func(m *Model) { m.Graph.Inputs = append(m.Graph.Inputs, ValueInfo{"w", Int64, Dims(2)}) }, `initializer "w"`},
	{"short initializer", func(m *Model) { m.Graph.Initializers[0].Raw = nil }, `tensor "w": 0 bytes`},
	{"no operator", func(m *Model) { m.Graph.Nodes[0].Op = "" }, "names no operator"},
	{"no output", func(m *Model) { m.Graph.Nodes[0].Outputs = []string{""} }, `"add" (Add): it has no output`},
	{"dangling input", func(m *Model) { m.Graph.Nodes[0].Inputs[1] = "nowhere" }, `"add" (Add): it reads "nowhere", which nothing defines`},
	{"wrong order", func(m *Model) {
		m.Graph.Nodes[0].Inputs[1] = "z"
		m.Graph.Nodes = append(m.Graph.Nodes, relu("x", "z"))
	}, `"add" (Add): it reads "z", which only a later node computes: node "relu"`},
	{"duplicate output", func(m *Model) { m.Graph.Nodes = append(m.Graph.Nodes, relu("x", "y")) }, `"relu" (Relu): "y" is defined twice`},
	{"output as input", func(m *Model) { m.Graph.Nodes[0].Outputs[0] = "x" }, `"x" is defined twice: by an input and by node "add"`},
	{"attribute twice", func(m *Model) { m.Graph.Nodes[0].Attrs = []Attr{IntAttr("a", 1), IntAttr("a", 2)} }, `attribute "a"`},
	{"attribute without tensor", func(m *Model) { m.Graph.Nodes[0].Attrs = []Attr{{Name: "a", Kind: KindTensor}} }, `attribute "a"`},
	{"attribute with a wrong tensor", func(m *Model) {
		m.Graph.Nodes[0].Attrs = []Attr{{Name: "a", Kind: KindTensor, T: &Tensor{Type: Float}}}
	}, `attribute "a"`},
	{"no graph output", func(m *Model) { m.Graph.Outputs = nil }, "has no output"},
	{"unknown graph output", func(m *Model) { m.Graph.Outputs[0].Name = "loss" }, `output "loss": nothing`},
	{"graph output twice", func(m *Model) { m.Graph.Outputs = append(m.Graph.Outputs, m.Graph.Outputs[0]) }, `output "y" is named twice`},
}

func TestCheck(t *testing.T) {
	for _, c := range checkCases {
		t.Run(c.name, func(t *testing.T) {
			m := sum()
			c.edit(m)
			err := m.Check()
			if c.want == "" && err != nil {
				t.Errorf("error %v, want none", err)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want one that says %q", err, c.want)
			}
		})
	}
}
