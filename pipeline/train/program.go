package train

import (
	"fmt"

	"metalora/adapters"
	"metalora/models"
	"metalora/onnx"
	"metalora/onnx/autodiff"
	"metalora/onnx/kernels"
	"metalora/onnx/ort"
)

// program is what an engine of a spec runs.
type program struct {
	plain     *onnx.Model // as it is built and differentiated
	graph     *onnx.Model // as it runs: with operators of package kernels where they are to be had, else plain itself
	gradients []autodiff.Gradient
	sums      map[string]bool // outputs of graph that add to the accumulators of their gradients, by input [kernels.Into]
	chunk     int             // about how many tokens a run takes
	packed    bool            // graph computes no padding [kernels.Pack]
}

func (s Spec) program() (*program, error) {
	graph, gradients, err := s.graph()
	if err != nil {
		return nil, err
	}
	p := &program{plain: graph, graph: s.lower(graph), gradients: gradients, chunk: chunkSize(graph)}
	if p.graph == p.plain {
		return p, nil
	}
	if packed := kernels.Pack(p.graph); packed != nil {
		p.graph, p.packed = packed, true
	}
	var outputs []string // of fixed shape
	for _, g := range gradients {
		if g.IDs == "" {
			outputs = append(outputs, g.Output)
		}
	}
	p.sums = kernels.Accumulate(p.graph, outputs)
	return p, nil
}

// lower puts operators of package kernels into a graph where they are to be had; otherwise it returns the graph itself. One
// that names their domain already comes from a stranger and gets no kernels: they are no part of what metalora reads.
func (s Spec) lower(graph *onnx.Model) *onnx.Model {
	if s.Kernels() == kernels.None {
		return graph
	}
	return kernels.Lower(graph)
}

// Kernels names the operators of our own that an engine may use here, [kernels.None] where it may use none.
func (s Spec) Kernels() string {
	if s.NoKernels || s.Device == ort.CUDA {
		return kernels.None
	}
	return kernels.Identity()
}

// graph is what an engine runs without kernels, and where its gradients leave.
func (s Spec) graph() (*onnx.Model, []autodiff.Gradient, error) {
	graph, err := s.forward()
	if err != nil || s.Trains == 0 {
		return graph, nil, err
	}
	graph, gradients, err := differentiate(models.AddLoss(graph), s)
	if err != nil {
		return nil, nil, fmt.Errorf("differentiating the graph: %w", err)
	}
	return graph, gradients, nil
}

func (s Spec) forward() (*onnx.Model, error) {
	graph, err := s.Architecture.Forward(s.Dropout)
	switch {
	case err != nil:
		return nil, err
	case s.Mixed:
		return adapters.Mix(graph, s.Sites, s.Heads())
	case len(s.Sites) == 0:
		return graph, nil
	}
	return adapters.Insert(graph, s.Sites, s.LoRADropout)
}

// differentiate asks for the gradient of every weight that trains. Embedding tables leave as rows and ids.
func differentiate(graph *onnx.Model, spec Spec) (*onnx.Model, []autodiff.Gradient, error) {
	request := autodiff.Request{Of: "loss"}
	for _, name := range spec.Trained() {
		request.Wrt = append(request.Wrt, name)
		if onlyGathered(graph.Graph, name) {
			request.Rows = append(request.Rows, name)
		}
	}
	return autodiff.Differentiate(graph, request)
}

// Trained lists the names of the weights whose gradients the engine gives.
func (s Spec) Trained() []string {
	var names []string
	for _, p := range s.Architecture.Parameters() {
		if p.Head && s.Trains.Has(Head) || !p.Head && s.Trains.Has(Base) {
			names = append(names, p.Name)
		}
	}
	if s.Trains.Has(Adapter) {
		for _, site := range s.Sites {
			names = append(names, site.Weights()...)
		}
	}
	return names
}

// onlyGathered tells whether a weight is a table: every use looks rows of it up by ids that are not fixed.
func onlyGathered(g *onnx.Graph, name string) bool {
	fixed := map[string]bool{}
	for _, t := range g.Initializers {
		fixed[t.Name] = true
	}
	found := false
	for _, n := range g.Nodes {
		for i, input := range n.Inputs {
			if input != name {
				continue
			}
			if n.Op != "Gather" || i != 0 || n.Int("axis", 0) != 0 || fixed[n.Input(1)] {
				return false
			}
			found = true
		}
	}
	return found
}
