package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"metalora/adapters"
	"metalora/models"
	"metalora/models/safetensors"
	"metalora/onnx"
	"metalora/pipeline/fault"
)

// ExportOptions say what becomes an .onnx file.
type ExportOptions struct {
	Model   string // folder or .onnx file
	Adapter string // PEFT folder; "": none
	Merge   bool   // the adapter goes into the weights; else its matrices and the head are inputs, with values in a file beside
	Bare    bool   // those inputs have no values of their own, as engines need that feed no input with a default
	Out     string
	Opset   int64
}

// Exported is what was written, and how near it is to our own run of the same weights.
type Exported struct {
	File       string  `json:"file"`
	Adapter    string  `json:"adapter,omitempty"` // the .onnx_adapter file
	Opset      int64   `json:"opset"`
	Parameters int     `json:"parameters"`
	Rows       int     `json:"rows"`       // that were run both ways
	Difference float64 `json:"difference"` // the largest of a logit

	Notes []string `json:"notes,omitempty"` // what a person should know of the adapter
}

// adapterSuffix is that of ONNX Runtime's adapter files.
const adapterSuffix = "_adapter"

// ExportONNX writes a model as an .onnx file that has its weights, or, with an adapter that is not merged, a base that reads
// the adapter from inputs, and the adapter in an .onnx_adapter file beside it. Both are run by ONNX Runtime from the files
// before they get their names: what differs from our own run is an error, and leaves nothing behind.
func ExportONNX(ctx context.Context, o ExportOptions) (*Exported, error) {
	if err := exportable(o); err != nil {
		return nil, fault.Usage(err)
	}
	base, err := loadModel(o.Model)
	if err != nil {
		return nil, fault.Input(err)
	}
	e := &exporting{ExportOptions: o, base: base, tensors: base.Tensors}
	if o.Adapter != "" {
		parents := newParentage(base)
		if e.adapter, e.sites, err = loadChild(o.Adapter, parents); err != nil {
			return nil, fault.Input(err)
		}
		e.notes = parents.notes
	}
	model, err := e.model()
	if err != nil {
		return nil, fault.Input(fmt.Errorf("exporting %s: %w", o.Model, err))
	}
	dir, err := os.MkdirTemp(filepath.Dir(o.Out), ".metalora-export-*")
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", o.Out, err)
	}
	defer os.RemoveAll(dir)
	return e.write(ctx, model, dir)
}

// exportable refuses options that contradict each other, and to write over what is there.
func exportable(o ExportOptions) error {
	if o.Merge && o.Adapter == "" {
		return errors.New("merging needs an adapter: give --adapter DIR, or leave --merge out")
	}
	if o.Bare && (o.Merge || o.Adapter == "") {
		return errors.New("--no-defaults is about the inputs of an adapter that is not merged: give --adapter DIR, and leave --merge out")
	}
	if o.Opset < onnx.OldestOpset || o.Opset > onnx.NewestOpset {
		return fmt.Errorf("opset %d: want %d to %d", o.Opset, onnx.OldestOpset, onnx.NewestOpset)
	}
	if !models.IsONNX(o.Out) {
		return fmt.Errorf("%s: the name of an exported model ends in .onnx", o.Out)
	}
	for _, path := range []string{o.Out, o.Out + onnx.DataSuffix, o.Out + adapterSuffix} {
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s exists; name another file", path)
		}
	}
	return nil
}

// exporting is an export under way.
type exporting struct {
	ExportOptions
	base    *models.Folder
	adapter *adapters.Adapter   // nil: none
	sites   []adapters.Site     // where the adapter sits
	tensors safetensors.Tensors // what the file computes with, adapter and head apart where they are fed
	notes   []string            // what a person should know of the adapter
	fed     safetensors.Tensors // the values of the .onnx_adapter file; nil: none
}

// model is the model to be written.
func (e *exporting) model() (*onnx.Model, error) {
	graph, err := e.base.Architecture.Forward(models.Dropout{})
	if err != nil {
		return nil, err
	}
	defaults := safetensors.Tensors{}
	switch {
	case e.Merge:
		if e.tensors, err = adapters.Merge(e.tensors, e.adapter); err != nil {
			return nil, err
		}
	case e.adapter != nil:
		if graph, defaults, err = e.insert(graph); err != nil {
			return nil, err
		}
		if e.Bare {
			defaults = nil
		}
	}
	if !models.HasHead(e.base.Architecture, merged(e.tensors, e.fed)) {
		return nil, errors.New("it has no classification head (classifier.*), and no adapter brings one")
	}
	if graph, err = onnx.Lower(graph, e.Opset); err != nil {
		return nil, err
	}
	return models.Fill(graph, e.tensors, defaults)
}

// insert makes inputs of an adapter's matrices and of the head. Their defaults are no adapter (matrices of rank 0, so that
// adapters of any rank fit) and the base's head, if it has one. The scale goes into B: the graph does not depend on it.
func (e *exporting) insert(graph *onnx.Model) (*onnx.Model, safetensors.Tensors, error) {
	plain, defaults := make([]adapters.Site, len(e.sites)), safetensors.Tensors{}
	e.fed = safetensors.Tensors{}
	for i, s := range e.sites {
		plain[i] = s
		plain[i].Scale = 1
		a, b := e.adapter.Tensors[s.A()], e.adapter.Tensors[s.B()]
		b.Data = slices.Clone(b.Data)
		for j := range b.Data {
			b.Data[j] *= float32(s.Scale)
		}
		e.fed[s.A()], e.fed[s.B()] = a, b
		defaults[s.A()], defaults[s.B()] = safetensors.Tensor{Shape: []int{0, s.In}}, safetensors.Tensor{Shape: []int{s.Out, 0}}
	}
	adapted, err := adapters.Insert(graph, plain, 0)
	if err != nil {
		return nil, nil, err
	}
	for i, v := range adapted.Graph.Inputs {
		if d, ok := defaults[v.Name]; ok {
			for j, size := range d.Shape {
				if size == 0 {
					adapted.Graph.Inputs[i].Shape[j] = onnx.Dim{Size: -1}
				}
			}
		}
	}
	encoder, head := models.Split(e.base.Architecture, e.tensors)
	for name, x := range e.adapter.Head() {
		e.fed[name] = x
		if _, ok := head[name]; !ok {
			head[name] = x
		}
		defaults[name] = head[name]
		delete(head, name)
	}
	e.tensors = merged(encoder, head)
	return adapted, defaults, nil
}

// write writes the files into dir, runs them, and moves them where they belong.
func (e *exporting) write(ctx context.Context, model *onnx.Model, dir string) (*Exported, error) {
	path := filepath.Join(dir, filepath.Base(e.Out))
	if err := model.WriteFile(path); err != nil {
		return nil, err
	}
	result := &Exported{File: e.Out, Opset: e.Opset, Notes: e.notes}
	for _, x := range e.tensors {
		result.Parameters += len(x.Data)
	}
	if e.fed != nil {
		if err := adapters.SaveONNX(path+adapterSuffix, e.fed); err != nil {
			return nil, err
		}
		result.Adapter = e.Out + adapterSuffix
	}
	var err error
	if result.Rows, result.Difference, err = e.compare(ctx, path); err != nil {
		return nil, fmt.Errorf("checking the exported model: %w", err)
	}
	for _, suffix := range []string{onnx.DataSuffix, adapterSuffix, ""} {
		if err := os.Rename(path+suffix, e.Out+suffix); err != nil && (suffix == "" || !errors.Is(err, os.ErrNotExist)) {
			return nil, fmt.Errorf("writing %s: %w", e.Out+suffix, err)
		}
	}
	return result, nil
}
