package cli

import (
	"errors"
	"fmt"
	"strings"

	"metalora/models"
	"metalora/models/exported"
	"metalora/onnx"
	"metalora/onnx/autodiff"
)

// inspectONNX looks at an .onnx file: as a text encoder that trains, or, where it is none, as a graph that metalora grad may
// differentiate.
func inspectONNX(path string) (*inspection, error) {
	m, err := onnx.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("looking at %s: %w", path, err)
	}
	found := &inspection{Kind: "onnx", Architecture: m.Graph.Name, Blockers: []blocker{}, Names: []exported.Name{},
		Notes: []string{fmt.Sprintf("opset %d, by %s", m.Opset(""), m.Producer)}}
	encoder, err := exported.Open(m)
	if err != nil {
		found.Notes = append(found.Notes, "does not train as a text encoder: "+err.Error())
		return found, found.graph(m)
	}
	return found, found.encoder(encoder)
}

// families has what a model's class begins with by the module that its names begin with.
var families = map[string]string{"roberta": "Roberta", "bert": "Bert", "distilbert": "DistilBert"}

// encoder says what an export is in the form that trains.
func (i *inspection) encoder(m *exported.Model) error {
	tensors, class := m.Tensors(), "ForSequenceClassification"
	if len(tensors) < len(m.Weights) {
		class = "Model"
	}
	for _, name := range tensors.Names() {
		x := tensors[name]
		i.Parameters += int64(len(x.Data))
		i.Tensors = append(i.Tensors, inTensor{name, "F32", x.Shape})
		module, _, _ := strings.Cut(name, ".")
		if family := families[module]; family != "" {
			i.Architecture = family + class
		}
	}
	i.Names = append(i.Names, m.Names...)
	i.Notes = append(i.Notes, m.Notes...)
	if guesses := m.Guesses(); len(guesses) > 0 {
		i.Notes = append(i.Notes, fmt.Sprintf("%d names are guesses: %s", len(guesses), strings.Join(guesses, ", ")))
	}
	return i.differentiate(models.AddLoss(m.Graph), "loss", m.Order)
}

// graph says what a model is that is no text encoder.
func (i *inspection) graph(m *onnx.Model) error {
	var weights []string
	for _, t := range m.Graph.Initializers {
		shape := make([]int, len(t.Dims))
		n := int64(1)
		for d, size := range t.Dims {
			shape[d] = int(size)
			n *= size
		}
		i.Tensors = append(i.Tensors, inTensor{t.Name, strings.ToUpper(t.Type.String()), shape})
		if t.Type.IsFloat() {
			i.Parameters += n
			weights = append(weights, t.Name)
		}
	}
	for _, n := range exported.Quantised(m) {
		i.Blockers = append(i.Blockers, blocker{n.Name, n.Op, "rounded numbers have no gradient"})
	}
	if len(i.Blockers) > 0 {
		return nil
	}
	return i.differentiate(m, m.Graph.Outputs[0].Name, weights)
}

// differentiate finds out what keeps an output's gradient from the weights.
func (i *inspection) differentiate(m *onnx.Model, of string, weights []string) error {
	_, _, err := autodiff.Differentiate(m, autodiff.Request{Of: of, Wrt: weights})
	i.Trainable = err == nil && len(weights) > 0
	if unsupported, ok := errors.AsType[*autodiff.Unsupported](err); ok {
		for _, b := range unsupported.Blockers {
			op := b.Op
			if b.Domain != "" {
				op = b.Domain + "::" + op
			}
			i.Blockers = append(i.Blockers, blocker{b.Node, op, b.Why})
		}
	} else if err != nil {
		i.Notes = append(i.Notes, err.Error())
	}
	return nil
}
