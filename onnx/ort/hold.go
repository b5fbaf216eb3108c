package ort

import (
	"errors"
	"runtime"
	"sync"

	engine "github.com/yalue/onnxruntime_go"
)

// hold is what a tensor holds in the engine: the engine's value and the pin that keeps the Go memory in place. It
// counts the runs that use it; the last one to leave a closed hold releases it.
type hold struct {
	mu     sync.Mutex
	users  int
	closed bool
	value  engine.Value // nil for a scalar
	scalar *scalar      // nil for everything else
	pinner runtime.Pinner
}

var errClosed = errors.New("the tensor is closed")

// open returns the engine's value for one run and what to call after it. A fetched scalar receives its result then.
func (h *hold) open(fetch bool) (engine.Value, func(), error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, nil, errClosed
	}
	if h.scalar != nil {
		return h.scalar.open(fetch)
	}
	h.users++
	return h.value, h.leave, nil
}

func (h *hold) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.users--; h.closed && h.users == 0 {
		h.release()
	}
}

func (h *hold) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	if h.closed = true; h.users == 0 {
		h.release()
	}
}

func (h *hold) isClosed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed
}

func (h *hold) release() {
	tensors.Add(-1)
	if h.value != nil {
		h.value.Destroy()
	}
	h.value, h.scalar = nil, nil
	h.pinner.Unpin()
}

// scalar makes the engine's value of a tensor of rank 0 anew for every run: the binding has no such tensor over a
// caller's memory.
type scalar struct {
	open func(fetch bool) (engine.Value, func(), error)
}

func scalarOf[T Element](data []T) *scalar {
	return &scalar{func(fetch bool) (engine.Value, func(), error) {
		v, err := engine.NewScalar(data[0])
		if err != nil {
			return nil, nil, err
		}
		return v, func() {
			if fetch {
				data[0] = v.GetData()
			}
			v.Destroy()
		}, nil
	}}
}
