package models

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"metalora/models/exported"
	"metalora/models/safetensors"
	"metalora/onnx"
	"metalora/pipeline/confined"
	"metalora/pipeline/disk"
)

// Export is the architecture of a model that somebody exported to ONNX: its own graph, in the form that trains (see
// package exported).
type Export struct {
	model      *exported.Model
	parameters []Parameter
	limits     Limits
	file       string
	config     string // the folder of the file where a config.json lies in it: for those who read the retrained folder
}

// graphFile holds the graph of a retrained export, without its weights, which lie beside it as those of any folder.
const graphFile = "graph.onnx"

// IsONNX tells whether a path is that of an .onnx file.
func IsONNX(path string) bool { return strings.EqualFold(filepath.Ext(path), ".onnx") }

// hasGraph tells whether [Export.Save] wrote a folder.
func hasGraph(dir string) bool { return confined.HasIn(dir, graphFile) }

// loadExport reads an .onnx file.
func loadExport(path string) (*Folder, error) {
	m, err := exported.Read(path)
	if err != nil {
		return nil, err
	}
	e, err := newExport(m, filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("understanding the exported model %s: %w", path, err)
	}
	f := &Folder{Dir: filepath.Dir(path), Architecture: e, Tensors: m.Tensors(), Names: m.Names, Notes: m.Notes}
	f.HasHead = HasHead(e, f.Tensors)
	e.model, e.file = m.WithoutValues(), path
	return f, nil
}

// loadRetrained reads a folder that [Export.Save] wrote.
func loadRetrained(dir string) (*Folder, error) {
	e, err := loadGraph(dir)
	if err != nil {
		return nil, err
	}
	tensors, err := e.weights(dir)
	if err != nil {
		return nil, fmt.Errorf("loading the model %s: %w", dir, err)
	}
	return &Folder{Dir: dir, Architecture: e, Tensors: tensors, HasHead: HasHead(e, tensors)}, nil
}

// weights reads the weights of a folder, which have to be the graph's.
func (e *Export) weights(dir string) (safetensors.Tensors, error) {
	w, err := openWeights(dir)
	if err != nil {
		return nil, err
	}
	defer w.close()
	if err := e.check(w.shapes); err != nil {
		return nil, fmt.Errorf("%s: %w", w.name, err)
	}
	return w.shapes, w.fill(w.shapes, func(name string) string { return name })
}

// loadGraph reads the architecture that [Export.Save] left in a folder.
func loadGraph(dir string) (*Export, error) {
	m, err := exported.ReadGraph(dir, graphFile)
	if err != nil {
		return nil, err
	}
	e, err := newExport(m, dir)
	if err != nil {
		return nil, fmt.Errorf("reading the graph of %s: %w", dir, err)
	}
	e.file = filepath.Join(dir, graphFile)
	return e, nil
}

// newExport finds out what training has to know of a graph.
func newExport(m *exported.Model, dir string) (*Export, error) {
	bounds := m.Limits()
	if bounds.Vocabulary == 0 {
		return nil, errors.New("no table is read by input_ids")
	}
	head, err := m.Head()
	if err != nil {
		return nil, err
	}
	e := &Export{model: m, limits: limitsOf(bounds)}
	for _, name := range m.Order {
		p := Parameter{Name: name, Shape: m.Weights[name].Shape, Head: head[name], Pad: -1}
		p.Pooler = p.Head && strings.Contains("."+name, ".pooler.")
		if name == bounds.Words || name == bounds.Place && e.limits.FreePads {
			p.Pad = e.limits.Pad
		}
		e.parameters = append(e.parameters, p)
	}
	if confined.HasIn(dir, configFile) {
		e.config = dir
	}
	return e, nil
}

// limitsOf are the bounds that the tables give. RoBERTa's positions skip the pad's id and begin behind it; where no id is
// skipped, pads are BERT's, id 0.
func limitsOf(b exported.Limits) Limits {
	l := Limits{Vocabulary: b.Vocabulary, Segments: b.Segments, Pad: max(0, b.Pad), FreePads: b.Pad >= 0, Length: b.Positions}
	if l.FreePads {
		l.Length -= l.Pad + 1
	}
	if b.Positions == 0 {
		l.Length = math.MaxInt32
	}
	return l
}

// File is the .onnx file that the graph was read from.
func (e *Export) File() string { return e.file }

// Forward is the export's own graph with the dropout that training asks for. A rate above zero is an error where the graph
// does not show where it belongs (see [exported.Model.Dropout]).
func (e *Export) Forward(d Dropout) (*onnx.Model, error) { return e.model.Dropout(exported.Rates(d)) }

// Parameters lists the weights in the order in which the graph reads them.
func (e *Export) Parameters() []Parameter { return slices.Clone(e.parameters) }

// Limits are the sizes of the graph's tables.
func (e *Export) Limits() Limits { return e.limits }

// Save writes a folder with the graph, the weights as Hugging Face's folders have them, and the config.json that lay beside
// the export: with one, the folder is a Hugging Face folder as well.
func (e *Export) Save(dir string, t safetensors.Tensors, tokenizerDir string) error {
	if err := e.save(dir, t, tokenizerDir); err != nil {
		return fmt.Errorf("saving the model %s: %w", dir, err)
	}
	return nil
}

func (e *Export) save(dir string, t safetensors.Tensors, tokenizerDir string) error {
	if err := e.check(t); err != nil {
		return err
	}
	if err := disk.MkdirAll(dir); err != nil {
		return err
	}
	if err := e.model.Graph.WriteFile(filepath.Join(dir, graphFile)); err != nil {
		return err
	}
	if e.config != "" && e.config != dir {
		if err := copyFiles(dir, e.config, configFile); err != nil {
			return err
		}
	}
	if err := safetensors.Save(filepath.Join(dir, weightsFile), t, map[string]string{"format": "pt"}); err != nil {
		return err
	}
	if tokenizerDir == "" {
		return nil
	}
	return copyTokenizer(dir, tokenizerDir)
}

// check compares tensors with the graph's weights; those of the head may be missing.
func (e *Export) check(t safetensors.Tensors) error {
	known := map[string]bool{}
	for _, p := range e.parameters {
		x, ok := t[p.Name]
		switch known[p.Name] = true; {
		case !ok && !p.Head:
			return fmt.Errorf("tensor %s is missing", p.Name)
		case ok && !slices.Equal(x.Shape, p.Shape):
			return fmt.Errorf("tensor %s has shape %v, the graph reads %v", p.Name, x.Shape, p.Shape)
		}
	}
	for _, name := range t.Names() {
		if !known[name] {
			return fmt.Errorf("tensor %s is not one of the model's", name)
		}
	}
	return nil
}
