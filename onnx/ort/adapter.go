package ort

import (
	"context"
	"fmt"

	engine "github.com/yalue/onnxruntime_go"
)

// Adapter is an .onnx_adapter file: values for inputs of a model that have a default.
type Adapter struct {
	inner *engine.LoraAdapter
}

// OpenAdapter reads an .onnx_adapter file.
func OpenAdapter(path string) (*Adapter, error) {
	if err := Start(""); err != nil {
		return nil, err
	}
	inner, err := engine.NewLoraAdapter(path)
	if err != nil {
		return nil, fmt.Errorf("opening adapter %s: %w", path, err)
	}
	return &Adapter{inner}, nil
}

// Close frees the adapter. No run may be under way with it.
func (a *Adapter) Close() error { return a.inner.Destroy() }

// RunAdapted is [Session.RunContext] with an adapter's values for the inputs that it names.
func (s *Session) RunAdapted(ctx context.Context, a *Adapter, feeds, fetches map[string]*Tensor) error {
	return s.runWith(ctx, a, feeds, fetches)
}
