package bench

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"metalora/onnx"
	"metalora/onnx/kernels"
)

// Group is what operators that belong together cost in a turn.
type Group struct {
	Name    string  `json:"name"`
	Calls   float64 `json:"calls"`
	Seconds float64 `json:"seconds"`
	Flops   float64 `json:"flops"` // of matrix products
	Bytes   float64 `json:"bytes"` // read and written
}

func (g *Group) add(o Group) {
	g.Calls += o.Calls
	g.Seconds += o.Seconds
	g.Flops += o.Flops
	g.Bytes += o.Bytes
}

// event is an entry of the engine's profile, times in microseconds.
type event struct {
	Category string `json:"cat"`
	Name     string `json:"name"`
	Start    int64  `json:"ts"`
	Duration int64  `json:"dur"`
	Args     struct {
		Op         string               `json:"op_name"`
		Inputs     []map[string][]int64 `json:"input_type_shape"` // by the name of the type
		Outputs    []map[string][]int64 `json:"output_type_shape"`
		Activation string               `json:"activation_size"` // bytes
		Parameter  string               `json:"parameter_size"`
		Output     string               `json:"output_size"`
	} `json:"args"`

	node  *onnx.Node // of package kernels, nil where the node is the engine's
	flops float64    // of the node's products
}

// read groups what a profile says about its last turns. rank is that of LoRA, 0: none; graph is what the engine was opened on.
func (p *Profile) read(path string, turns, rank int, graph *onnx.Model) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var events []event
	if err := json.Unmarshal(data, &events); err != nil {
		return fmt.Errorf("reading the engine's profile %s: %w", path, err)
	}
	var runs []event
	for _, e := range events {
		if e.Name == "model_run" {
			runs = append(runs, e)
		}
	}
	slices.SortFunc(runs, func(a, b event) int { return int(a.Start - b.Start) })
	if len(runs) == 0 || len(runs)%(turns+1) != 0 {
		return fmt.Errorf("reading the engine's profile %s: %d runs in %d turns", path, len(runs), turns+1)
	}
	p.Runs = len(runs) / (turns + 1)
	counted := runs[p.Runs:]
	for _, r := range counted {
		p.Engine += float64(r.Duration) / 1e6 / float64(turns)
	}
	nodes := ours(graph)
	operators, parts := map[string]*Group{}, map[string]*Group{}
	for _, e := range events {
		if e.Category != "Node" || !strings.HasSuffix(e.Name, kernel) || e.Start < counted[0].Start {
			continue
		}
		if err := e.count(nodes); err != nil {
			return fmt.Errorf("reading the engine's profile %s: %w", path, err)
		}
		g := e.group(turns)
		collect(operators, e.operator(), g)
		collect(parts, e.part(rank), g)
	}
	p.Operators, p.Parts = sorted(operators), sorted(parts)
	return nil
}

// kernel ends the name of an event that is the time of a node's computation.
const kernel = "_kernel_time"

func (e *event) group(turns int) Group {
	bytes := 0.0
	for _, text := range []string{e.Args.Activation, e.Args.Parameter, e.Args.Output} {
		n, _ := strconv.ParseFloat(text, 64) // absent: none
		bytes += n
	}
	n := float64(turns)
	return Group{Calls: 1 / n, Seconds: float64(e.Duration) / 1e6 / n, Flops: e.flops / n, Bytes: bytes / n}
}

// ours are the nodes of package kernels by their names, which the engine leaves as they are.
func ours(graph *onnx.Model) map[string]*onnx.Node {
	nodes := map[string]*onnx.Node{}
	for _, n := range graph.Graph.Nodes {
		if n.Domain == kernels.Domain {
			nodes[n.Name] = n
		}
	}
	return nodes
}

// operator names a node's kind, with the domain where that is ours.
func (e *event) operator() string {
	if e.node != nil {
		return kernels.Domain + "." + e.Args.Op
	}
	return e.Args.Op
}

// count finds the event's node among those of package kernels, and the operations of its products.
func (e *event) count(nodes map[string]*onnx.Node) error {
	n := nodes[strings.TrimSuffix(e.Name, kernel)]
	if n == nil || n.Op != e.Args.Op {
		e.flops = e.plainFlops()
		return nil
	}
	e.node = n
	values := map[string]onnx.ValueInfo{}
	if err := tell(values, n.Inputs, e.Args.Inputs); err != nil {
		return fmt.Errorf("%v: inputs: %w", n, err)
	}
	if err := tell(values, n.Outputs, e.Args.Outputs); err != nil {
		return fmt.Errorf("%v: outputs: %w", n, err)
	}
	flops, err := onnx.NodeFlops(n, values)
	e.flops = float64(flops)
	return err
}

// tell gives a node's inputs or outputs their shapes. The profile leaves out those that are absent.
func tell(values map[string]onnx.ValueInfo, names []string, typed []map[string][]int64) error {
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == "" })
	if len(names) != len(typed) {
		return fmt.Errorf("the profile has %d, the graph %d", len(typed), len(names))
	}
	for i, name := range names {
		shape := onnx.Shape{}
		for _, d := range dims(typed[i]) {
			shape = append(shape, onnx.Dim{Size: d})
		}
		values[name] = onnx.ValueInfo{Name: name, Shape: shape}
	}
	return nil
}

// products are the operators of the engine's that multiply matrices.
var products = []string{"Gemm", "FusedGemm", "MatMul", "FusedMatMul"}

// plainFlops of one of the engine's products, which it may have made of other nodes: with batch·m·k, batch·k·n and batch·m·n elements, whatever lies transposed, 2·batch·m·n·k is
// 2·√(their product / batch).
func (e *event) plainFlops() float64 {
	in, out := e.Args.Inputs, e.Args.Outputs
	if !slices.Contains(products, e.Args.Op) || len(in) < 2 || len(out) < 1 {
		return 0
	}
	a, b, y := dims(in[0]), dims(in[1]), dims(out[0])
	batch := 1.0
	for _, d := range y[:max(0, len(y)-2)] {
		batch *= float64(d)
	}
	return 2 * math.Sqrt(elements(a)*elements(b)*elements(y)/batch)
}

func dims(typed map[string][]int64) []int64 {
	for _, shape := range typed {
		return shape
	}
	return nil
}

func elements(shape []int64) float64 {
	n := 1.0
	for _, d := range shape {
		n *= float64(d)
	}
	return n
}

// modules are the parts of the model by what stands in the names of their nodes; the first that fits counts.
var modules = []struct{ part, mark string }{
	{"LoRA", ".lora/"},
	{"norms", "/LayerNormalization"},
	{"embeddings", "embeddings"},
	{"attention", "attention"},
	{"feed-forward", "intermediate"},
	{"feed-forward", "output.dense"},
	{"loss", "loss"},
	{"head", "classifier"},
	{"head", "head"},
}

// part is which part of the model a node belongs to, and in which direction. A product with a side of LoRA's rank is LoRA's.
func (e *event) part(rank int) string {
	name, direction := e.Name, ", forward"
	if strings.HasPrefix(name, "grad/") {
		direction = ", backward"
	}
	if e.thin(rank) {
		return "LoRA" + direction
	}
	for _, m := range modules {
		if strings.Contains(name, m.mark) {
			return m.part + direction
		}
	}
	return "rest" + direction
}

// thin tells whether a product has a side of LoRA's rank. One of ours with a thin second term is the first's.
func (e *event) thin(rank int) bool {
	matrices := e.Args.Inputs
	if e.node != nil && e.node.Input(0) != "" {
		matrices = matrices[1:] // behind what the product is added to
	}
	if rank == 0 || !slices.Contains(products, e.Args.Op) || len(matrices) < 2 {
		return false
	}
	return slices.ContainsFunc(slices.Concat(matrices[:2], e.Args.Outputs), func(typed map[string][]int64) bool {
		return slices.Contains(dims(typed), int64(rank))
	})
}

func collect(groups map[string]*Group, name string, g Group) {
	if groups[name] == nil {
		groups[name] = &Group{Name: name}
	}
	groups[name].add(g)
}

// sorted has the groups that take longest first.
func sorted(groups map[string]*Group) []Group {
	var all []Group
	for _, g := range groups {
		all = append(all, *g)
	}
	slices.SortFunc(all, func(a, b Group) int {
		if a.Seconds != b.Seconds {
			return int(math.Copysign(1, b.Seconds-a.Seconds))
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all
}
