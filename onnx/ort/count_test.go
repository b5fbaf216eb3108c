package ort

import (
	"context"
	"runtime"
	"testing"
	"time"
)

// TestNothingIsLeft: after a thousand sessions, each of which ran and was broken off once, no goroutine, no session and no
// tensor of the engine is left, counted.
func TestNothingIsLeft(t *testing.T) {
	runtime.GC()
	goroutines, open, held := runtime.NumGoroutine(), sessions.Load(), tensors.Load()
	data := make([]float32, 8)
	for range 1000 {
		s, err := OpenModel(product(), Options{Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		a, b := mustTensor(t, []int{4, 1}, data[:4]), mustTensor(t, []int{1, 2}, data[:2])
		feeds, fetches := map[string]*Tensor{"a": a, "b": b}, map[string]*Tensor{"y": nil}
		if err := s.RunContext(t.Context(), feeds, fetches); err != nil {
			t.Fatal(err)
		}
		if now := tensors.Load() - held; now != 3 {
			t.Fatalf("%d tensors are held during a round, want the two fed and the one fetched", now)
		}
		fetches["y"].Close()
		if err := s.RunContext(ended(t), feeds, map[string]*Tensor{"y": nil}); err == nil {
			t.Fatal("a run of a context that has ended went through")
		}
		a.Close()
		b.Close()
		s.Close()
	}
	if n := sessions.Load() - open; n != 0 {
		t.Errorf("%d sessions are left", n)
	}
	if n := tensors.Load() - held; n != 0 {
		t.Errorf("%d tensors are left", n)
	}
	for range 100 { // goroutines that have been told to end may need a moment
		if runtime.NumGoroutine() <= goroutines {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines are left, %d were there before", runtime.NumGoroutine(), goroutines)
}

// ended is a context that is over.
func ended(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
