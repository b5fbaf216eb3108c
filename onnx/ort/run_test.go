package ort

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"metalora/onnx"

	"github.com/google/go-cmp/cmp"
)

func TestRun(t *testing.T) {
	s := session(t, product(), Options{Threads: 1})
	weight := tensor[float32](t, []int{3, 2}, 1, 2, 3, 4, 5, 6)
	for _, c := range []struct {
		name string
		rows int
		data []float32
		want []float32
	}{
		{"one row", 1, []float32{1, 0, 0}, []float32{1, 2}},
		{"two rows", 2, []float32{1, 1, 1, 0, 0, 2}, []float32{9, 12, 10, 12}},
		{"no row", 0, nil, []float32{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			feeds := map[string]*Tensor{"a": tensor(t, []int{c.rows, 3}, c.data...), "b": weight}
			allocated := map[string]*Tensor{"y": nil}
			if err := s.Run(feeds, allocated); err != nil {
				t.Fatal(err)
			}
			defer allocated["y"].Close()
			if diff := cmp.Diff([]int{c.rows, 2}, allocated["y"].Shape()); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.want, Data[float32](allocated["y"])); diff != "" {
				t.Error(diff)
			}
			given := make([]float32, c.rows*2)
			if err := s.Run(feeds, map[string]*Tensor{"y": tensor(t, []int{c.rows, 2}, given...)}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, given); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRunSeesTheSliceAsItIs(t *testing.T) {
	s := session(t, product(), Options{Threads: 1})
	a, y := []float32{1, 1}, make([]float32, 2)
	feeds := map[string]*Tensor{"a": tensor(t, []int{1, 2}, a...), "b": tensor[float32](t, []int{2, 2}, 1, 0, 0, 1)}
	fetches := map[string]*Tensor{"y": tensor(t, []int{1, 2}, y...)}
	for _, x := range []float32{1, -7, 0.5} {
		a[0] = x
		if err := s.Run(feeds, fetches); err != nil {
			t.Fatal(err)
		}
		if y[0] != x || y[1] != 1 {
			t.Errorf("fed %v, got %v", a, y)
		}
	}
}

func TestElementTypes(t *testing.T) {
	roundTrip(t, onnx.Float, []float32{1.5, -2})
	roundTrip(t, onnx.Double, []float64{1e300, -2})
	roundTrip(t, onnx.Int8, []int8{-128, 127})
	roundTrip(t, onnx.Int16, []int16{-1 << 15, 7})
	roundTrip(t, onnx.Int32, []int32{-1 << 31, 7})
	roundTrip(t, onnx.Int64, []int64{-1 << 63, 7})
	roundTrip(t, onnx.Uint8, []uint8{255, 7})
	roundTrip(t, onnx.Uint16, []uint16{1<<16 - 1, 7})
	roundTrip(t, onnx.Uint32, []uint32{1<<32 - 1, 7})
	roundTrip(t, onnx.Uint64, []uint64{1<<64 - 1, 7})
	roundTrip(t, onnx.Bool, []bool{true, false})
	type named float32
	roundTrip(t, onnx.Float, []named{3, 4})
}

// roundTrip sends a vector and a scalar through the engine, into memory of the engine's making and of ours.
func roundTrip[T Element](t *testing.T, dtype onnx.DType, data []T) {
	for name, c := range map[string]struct {
		shape []int
		data  []T
	}{"vector": {[]int{2}, data}, "scalar": {nil, data[:1]}} {
		t.Run(dtype.String()+" "+name, func(t *testing.T) {
			m := identity(dtype, toAny(c.shape)...)
			s := session(t, m, Options{Threads: 1})
			feeds := map[string]*Tensor{"x": tensor(t, c.shape, c.data...)}
			into := tensor(t, c.shape, make([]T, len(c.data))...)
			if err := s.Run(feeds, map[string]*Tensor{"y": into}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.data, Data[T](into)); diff != "" {
				t.Error(diff)
			}
			if c.shape == nil && allocatableScalar[dtype] != true {
				return
			}
			fetches := map[string]*Tensor{"y": nil}
			if err := s.Run(feeds, fetches); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.data, Data[T](fetches["y"])); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// allocatableScalar lists the types of which the engine returns scalars in models that are seen in practice.
var allocatableScalar = map[onnx.DType]bool{onnx.Float: true, onnx.Double: true, onnx.Int32: true, onnx.Int64: true, onnx.Bool: true}

func toAny(shape []int) []any {
	var dims []any
	for _, d := range shape {
		dims = append(dims, d)
	}
	return dims
}

func TestBoolsFromBytes(t *testing.T) {
	s := session(t, identity(onnx.Bool, "n"), Options{Threads: 1})
	x, err := NewBools([]int{3}, []uint8{1, 0, 1})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	fetches := map[string]*Tensor{"y": nil}
	if err := s.Run(map[string]*Tensor{"x": x}, fetches); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]uint8{1, 0, 1}, Data[uint8](fetches["y"])); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]bool{true, false, true}, Data[bool](fetches["y"])); diff != "" {
		t.Error(diff)
	}
}

func TestRunErrors(t *testing.T) {
	s := session(t, product(), Options{Threads: 1})
	a, b := tensor(t, []int{4, 3}, make([]float32, 12)...), tensor(t, []int{3, 2}, make([]float32, 6)...)
	closed := tensor(t, []int{4, 3}, make([]float32, 12)...)
	closed.Close()
	long := tensor(t, []int{3, 4}, make([]float32, 12)...)
	for _, c := range []struct {
		name           string
		feeds, fetches map[string]*Tensor
		want           string
	}{
		{"missing", map[string]*Tensor{"a": a}, nil, `input "b" is not fed`},
		{"not an input", map[string]*Tensor{"a": a, "b": b, "c": b}, nil, `no input "c"; it has a, b`},
		{"not an output", map[string]*Tensor{"a": a, "b": b}, map[string]*Tensor{"z": nil}, `no output "z"; it has y`},
		{"type", map[string]*Tensor{"a": tensor(t, []int{4, 3}, make([]int64, 12)...), "b": b}, nil, `input "a": element type int64, want float`},
		{"rank", map[string]*Tensor{"a": tensor(t, []int{12}, make([]float32, 12)...), "b": b}, nil, `input "a": shape [12], want [rows inner]`},
		{"size", map[string]*Tensor{"a": a, "b": long}, nil, `input "b": shape [3 4], want [inner 2]`},
		{"symbol", map[string]*Tensor{"a": long, "b": b}, nil, `input "b": shape [3 2], want [inner 2], where inner is 4 by input "a"`},
		{"fetch's shape", map[string]*Tensor{"a": a, "b": b}, map[string]*Tensor{"y": b}, `output "y": shape [3 2], want [rows 2], where rows is 4 by input "a"`},
		{"fetch's type", map[string]*Tensor{"a": a, "b": b}, map[string]*Tensor{"y": tensor(t, []int{4, 2}, make([]int32, 8)...)}, `output "y": element type int32, want float`},
		{"closed", map[string]*Tensor{"a": closed, "b": b}, nil, `input "a": the tensor is closed`},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := s.Run(c.feeds, c.fetches)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestRunRefusesSharedMemory(t *testing.T) {
	s := session(t, identity(onnx.Float, "n"), Options{Threads: 1})
	x := tensor[float32](t, []int{2}, 1, 2)
	err := s.Run(map[string]*Tensor{"x": x}, map[string]*Tensor{"y": x})
	if err == nil || !strings.Contains(err.Error(), `output "y": its memory is also that of "x"`) {
		t.Errorf("got %v", err)
	}
}

// TestWrongDeclaration has a model whose output turns out otherwise than it says: the engine tells, nothing breaks.
func TestWrongDeclaration(t *testing.T) {
	m := product()
	m.Graph.Outputs[0].Shape = onnx.Dims("some", "other")
	s := session(t, m, Options{Threads: 1})
	feeds := map[string]*Tensor{"a": tensor[float32](t, []int{1, 1}, 2), "b": tensor[float32](t, []int{1, 2}, 3, 4)}
	if err := s.Run(feeds, map[string]*Tensor{"y": tensor(t, []int{2, 2}, make([]float32, 4)...)}); err == nil {
		t.Error("a fetch of the wrong shape passed")
	}
	fetches := map[string]*Tensor{"y": nil}
	if err := s.Run(feeds, fetches); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]float32{6, 8}, Data[float32](fetches["y"])); diff != "" {
		t.Error(diff)
	}
}

// chain multiplies a square matrix with itself many times over: a run that takes a while.
func chain(length int) *onnx.Model {
	b := onnx.NewBuilder(&onnx.Graph{Name: "chain"})
	x := b.Input("x", onnx.Float, "n", "n")
	y := x
	for range length {
		y = b.Op("MatMul", []string{y, x})
	}
	b.Named("y", "Identity", []string{y})
	b.Output("y", onnx.Float, "n", "n")
	return onnx.NewModel(b.Graph)
}

func TestRunContext(t *testing.T) {
	const n = 512
	s := session(t, chain(400), Options{Threads: 1})
	feeds := map[string]*Tensor{"x": tensor(t, []int{n, n}, make([]float32, n*n)...)}
	ctx, cancel := context.WithCancelCause(context.Background())
	stopped := errors.New("stopped by the test")
	time.AfterFunc(50*time.Millisecond, func() { cancel(stopped) })
	start := time.Now()
	if err := s.RunContext(ctx, feeds, map[string]*Tensor{"y": nil}); !errors.Is(err, stopped) {
		t.Fatalf("got %v after %v, want the context's cause", err, time.Since(start))
	}
	if err := s.RunContext(ctx, feeds, map[string]*Tensor{"y": nil}); !errors.Is(err, stopped) {
		t.Errorf("a run whose context was done before: %v", err)
	}
	short := session(t, chain(1), Options{Threads: 1})
	fresh, done := context.WithCancel(context.Background())
	defer done()
	if err := short.RunContext(fresh, feeds, map[string]*Tensor{"y": nil}); err != nil {
		t.Errorf("a run that nobody stops: %v", err)
	}
}

func TestConcurrentRunsAndOpens(t *testing.T) {
	shared := session(t, product(), Options{Threads: 2})
	b := tensor[float32](t, []int{1, 2}, 3, 4)
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			own, err := OpenModel(product(), Options{Threads: 1})
			if err != nil {
				t.Error(err)
				return
			}
			defer own.Close()
			for _, s := range []*Session{shared, own} {
				a := tensor(t, []int{1, 1}, float32(i))
				fetches := map[string]*Tensor{"y": nil}
				if err := s.Run(map[string]*Tensor{"a": a, "b": b}, fetches); err != nil {
					t.Error(err)
					return
				}
				if diff := cmp.Diff([]float32{3 * float32(i), 4 * float32(i)}, Data[float32](fetches["y"])); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
	wait.Wait()
}
