package exported

import (
	"regexp"
	"strings"

	"metalora/onnx"
)

// Source says where a weight's name comes from.
type Source string

// The sources, the surest first. Names from the last three are guesses.
const (
	Own        Source = "own"         // the file has the name
	FromBias   Source = "bias"        // the bias that is added to the product has it
	FromScopes Source = "name_scopes" // torch's dynamo exporter noted the module on the node
	FromPath   Source = "node path"   // the legacy exporter names nodes by module
	Unknown    Source = "unknown"     // nothing tells: it is the file's name
)

// Name says which tensor of the file a weight is.
type Name struct {
	Name       string `json:"name"`       // Hugging Face's
	File       string `json:"file"`       // the initializer's
	Transposed bool   `json:"transposed"` // the file has [in, out]
	Source     Source `json:"source"`
	Guess      bool   `json:"guess"`
}

// naming collects which constants are weights and what they are called.
type naming struct {
	weights map[string]*Name        // by the constant's name in the graph
	parts   map[string]Name         // of a fused operator's merged weight: where it lies in the file, and its name's source
	taken   map[string]string       // by weight's name: the constant that has it
	known   map[string]*onnx.Tensor // the graph's constants: their names are their own
	prefix  string                  // of a bare encoder's names, which lack it
}

// own is what the name of a weight looks like in PyTorch.
var own = regexp.MustCompile(`^[A-Za-z_]\w*(\.\w+)*\.(weight|bias|gamma|beta)$`)

// named tells whether a constant bears a module's name.
func named(constant string) bool { return own.MatchString(constant) }

// split notes that a constant is a third of a merged weight or bias of the file.
func (s *naming) split(constant, merged string, source Source, i int) {
	if s.parts == nil {
		s.parts = map[string]Name{}
	}
	s.parts[constant] = Name{File: merged + part(i), Source: source}
}

// layer names weight and bias of a linear layer.
func (s *naming) layer(l layer) {
	module, source := "", Unknown
	if named(l.bias) && !l.shares {
		module, source = strings.TrimSuffix(l.bias, ".bias"), FromBias
	} else if module, source = moduleOf(l.node); module == "" {
		module, source = l.weight, Unknown
	}
	s.add(l.weight, module+".weight", source, l.transposed)
	if named(l.weight) {
		module, source = strings.TrimSuffix(l.weight, ".weight"), FromBias
	}
	if l.bias != "" {
		s.add(l.bias, module+".bias", source, false)
	}
}

// add names a constant, once; its own name comes before what was found out. A name that another one has is not given again.
func (s *naming) add(constant, name string, source Source, transposed bool) {
	if s.weights == nil {
		s.weights, s.taken = map[string]*Name{}, map[string]string{}
	}
	if s.weights[constant] != nil {
		return
	}
	w := &Name{Name: name, File: constant, Source: source, Transposed: transposed}
	if named(constant) {
		w.Name, w.Source = constant, Own
	}
	if p, ok := s.parts[constant]; ok {
		w.File, w.Source = p.File, p.Source
	}
	by, taken := s.taken[w.Name]
	if taken = taken || s.known[w.Name] != nil; taken && by != constant && w.Name != constant {
		_, role, _ := strings.Cut(name[strings.LastIndexByte(name, '.'):], ".")
		w.Name, w.Source = constant+"."+role, Unknown
	}
	w.Guess = w.Source != Own && w.Source != FromBias
	s.taken[w.Name], s.weights[constant] = constant, w
}

// scope is one entry of the list that the dynamo exporter notes as a Python literal.
var scope = regexp.MustCompile(`'([^']*)'`)

// moduleOf is the module that a node comes from, by what its exporter noted: metadata such as [”, 'bert', 'bert.pooler', 'tanh'],
// whose last entry is the operation, or a name such as /bert/pooler/Tanh.
func moduleOf(n *onnx.Node) (module string, source Source) {
	entries := scope.FindAllStringSubmatch(n.Metadata("pkg.torch.onnx.name_scopes"), -1)
	if len(entries) > 1 && entries[len(entries)-2][1] != "" {
		return entries[len(entries)-2][1], FromScopes
	}
	for _, path := range []string{n.Name, n.Output(0)} {
		parts := strings.Split(path, "/")
		if len(parts) > 2 && parts[0] == "" {
			return strings.Join(parts[1:len(parts)-1], "."), FromPath
		}
	}
	return "", Unknown
}

// roles says which inputs of an operator are weights, where they are constants, by what PyTorch calls them.
var roles = map[string]map[int]string{
	"LayerNormalization": {1: "weight", 2: "bias"},
	"RMSNormalization":   {1: "weight"},
	"Conv":               {1: "weight", 2: "bias"},
	"PRelu":              {1: "weight"},
	"Gather":             {0: "weight"},
}

// weights makes inputs of all constants that are weights: those of linear layers, those with a role in an operator and
// those with a module's name. Other constants, masks and buffers among them, stay.
func (r *rewriter) weights() error {
	x := r.index()
	for _, n := range r.model.Graph.Nodes {
		for i, v := range n.Inputs {
			t := x.constants[v]
			if t == nil || t.Type != onnx.Float {
				continue
			}
			role, ok := roles[n.Op][i]
			if !named(v) && (!ok || len(t.Dims) == 0) {
				continue
			}
			module, source := moduleOf(n)
			if module == "" {
				module = v
			}
			r.names.add(v, module+"."+role, source, false)
		}
	}
	r.names.complete()
	for _, n := range r.model.Graph.Nodes {
		for i, v := range n.Inputs {
			if w := r.names.weights[v]; w != nil {
				n.Inputs[i] = w.Name
			}
		}
	}
	return nil
}

// complete gives a bare encoder's names their prefix.
func (s *naming) complete() {
	for _, w := range s.weights {
		if s.prefix != "" && unprefixed.MatchString(w.Name) {
			w.Name = s.prefix + w.Name
		}
	}
}
