package ort

import (
	"context"
	"fmt"

	engine "github.com/yalue/onnxruntime_go"
)

// RunContext is [Session.Run], broken off between two nodes where ctx is done; the error is then ctx's. The contents
// of preallocated fetches are undefined after an error.
func (s *Session) RunContext(ctx context.Context, feeds, fetches map[string]*Tensor) error {
	return s.runWith(ctx, nil, feeds, fetches)
}

// runWith runs with an adapter, or with none where a is nil.
func (s *Session) runWith(ctx context.Context, a *Adapter, feeds, fetches map[string]*Tensor) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.inner == nil {
		return fmt.Errorf("running a model: the session is closed")
	}
	if err := s.check(feeds, fetches); err != nil {
		return fmt.Errorf("running a model: %w", err)
	}
	r := run{fetches: map[string]*Tensor{}}
	defer r.leave()
	if err := s.bind(&r, feeds, fetches); err != nil {
		return fmt.Errorf("running a model: %w", err)
	}
	if err := s.execute(ctx, a, &r); err != nil {
		return fmt.Errorf("running a model: %w", err)
	}
	if err := s.collect(&r, fetches); err != nil {
		return fmt.Errorf("running a model: %w", err)
	}
	return nil
}

// run is what one run holds: the engine's values in the order of the session's names, the tensors made for fetches
// that were nil, and what to call in the end.
type run struct {
	inputs, outputs []engine.Value
	fetches         map[string]*Tensor
	after           []func()
}

func (r *run) leave() {
	for _, f := range r.after {
		f()
	}
	r.after = nil
}

func (r *run) open(t *Tensor, fetch bool) (engine.Value, error) {
	v, done, err := t.hold.open(fetch)
	if err == nil {
		r.after = append(r.after, done)
	}
	return v, err
}

// bind opens every tensor. A scalar that is to be allocated is allocated here, because the binding cannot.
func (s *Session) bind(r *run, feeds, fetches map[string]*Tensor) error {
	for _, v := range s.inputs {
		value, err := r.open(feeds[v.Name], false)
		if err != nil {
			return fmt.Errorf("input %q: %w", v.Name, err)
		}
		r.inputs = append(r.inputs, value)
	}
	for _, v := range s.outputs {
		t := fetches[v.Name]
		if t == nil && v.Shape != nil && len(v.Shape) == 0 {
			made, err := newScalar(v.Type)
			if err != nil {
				return fmt.Errorf("output %q: %w", v.Name, err)
			}
			t, r.fetches[v.Name] = made, made
		}
		if t == nil {
			r.outputs = append(r.outputs, nil)
			continue
		}
		value, err := r.open(t, true)
		if err != nil {
			return fmt.Errorf("output %q: %w", v.Name, err)
		}
		r.outputs = append(r.outputs, value)
	}
	return nil
}

// execute calls the engine; values that it allocated are freed here where the run fails, and in collect otherwise.
func (s *Session) execute(ctx context.Context, a *Adapter, r *run) error {
	if ctx.Done() == nil && a == nil {
		return s.inner.Run(r.inputs, r.outputs)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	options, err := engine.NewRunOptions()
	if err != nil {
		return err
	}
	defer options.Destroy()
	if a != nil {
		if err := options.AddActiveLoraAdapter(a.inner); err != nil {
			return err
		}
	}
	told := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(told)
		options.Terminate()
	})
	err = s.inner.RunWithOptions(r.inputs, r.outputs, options)
	if !stop() {
		<-told // the options are in use until then
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// collect turns what the engine allocated into tensors and hands over those that were asked for.
func (s *Session) collect(r *run, fetches map[string]*Tensor) error {
	for i, v := range s.outputs {
		if fetches[v.Name] != nil || r.fetches[v.Name] != nil {
			continue
		}
		if _, wanted := fetches[v.Name]; !wanted {
			r.outputs[i].Destroy()
			continue
		}
		t, err := adopt(r.outputs[i])
		if err != nil {
			return fmt.Errorf("output %q: %w", v.Name, err)
		}
		r.fetches[v.Name] = t
	}
	for name, t := range r.fetches {
		if _, wanted := fetches[name]; wanted {
			fetches[name] = t
		}
	}
	return nil
}
