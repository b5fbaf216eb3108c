package ort

import (
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"metalora/onnx"

	"github.com/google/go-cmp/cmp"
)

func TestNewTensorErrors(t *testing.T) {
	const large = 1 << 40
	for _, c := range []struct {
		name  string
		shape []int
		data  []float32
		want  string
	}{
		{"too few", []int{2, 3}, make([]float32, 5), "it has 6 elements, the slice 5"},
		{"too many", []int{2, 3}, make([]float32, 7), "it has 6 elements, the slice 7"},
		{"negative", []int{2, -3}, nil, "a dimension is negative"},
		{"overflow", []int{large, large}, nil, "its size overflows"},
		{"scalar of none", nil, nil, "it has 1 elements, the slice 0"},
		{"scalar of two", []int{}, make([]float32, 2), "it has 1 elements, the slice 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := NewTensor(c.shape, c.data)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestEmptyTensors(t *testing.T) {
	for _, shape := range [][]int{{0}, {0, 3}, {3, 0}, {1 << 40, 0, 1 << 40}} {
		x, err := NewTensor(shape, []int64{})
		if err != nil {
			t.Errorf("shape %v: %v", shape, err)
			continue
		}
		if data := Data[int64](x); data == nil || len(data) != 0 {
			t.Errorf("shape %v: data %v, want an empty slice", shape, data)
		}
		x.Close()
	}
}

func TestData(t *testing.T) {
	data := []float32{1, 2}
	x := tensor(t, []int{2}, data...)
	if &Data[float32](x)[0] != &data[0] {
		t.Error("the data is not the slice that the tensor was made over")
	}
	if Data[int32](x) != nil || Data[uint8](x) != nil || Data[float32](nil) != nil {
		t.Error("another type's data, or no tensor's, is not nil")
	}
	shape := x.Shape()
	shape[0] = 7
	if diff := cmp.Diff([]int{2}, x.Shape()); diff != "" {
		t.Error("the shape can be written to from outside:", diff)
	}
	for range 2 {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	}
	if Data[float32](x) != nil {
		t.Error("a closed tensor still has data")
	}
}

// TestCollectorDuringRuns lets the garbage collector run all the time while tensors that nothing else refers to are in
// use, some of them over memory that their maker has let go of.
func TestCollectorDuringRuns(t *testing.T) {
	s := session(t, product(), Options{Threads: 2})
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	for i := range 2000 {
		rows := i%7 + 1
		fetches := map[string]*Tensor{"y": nil}
		if i%2 == 0 {
			fetches["y"] = mustTensor(t, []int{rows, 2}, filled(rows*2, -1))
		}
		feeds := map[string]*Tensor{
			"a": mustTensor(t, []int{rows, 64}, filled(rows*64, 1)),
			"b": mustTensor(t, []int{64, 2}, filled(128, float32(i))),
		}
		if err := s.Run(feeds, fetches); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(filled(rows*2, 64*float32(i)), Data[float32](fetches["y"])); diff != "" {
			t.Fatalf("run %d: %s", i, diff)
		}
	}
}

// mustTensor makes a tensor that nobody closes.
func mustTensor(t *testing.T, shape []int, data []float32) *Tensor {
	x, err := NewTensor(shape, data)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func filled(n int, x float32) []float32 {
	data := make([]float32, n)
	for i := range data {
		data[i] = x
	}
	return data
}

// TestCloseDuringRun closes the tensors and the session of a run under way: the run ends as if nothing had happened.
func TestCloseDuringRun(t *testing.T) {
	const n = 128
	s, err := OpenModel(chain(100), Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	eye, out := make([]float32, n*n), make([]float32, n*n)
	for i := range n {
		eye[i*n+i] = 1
	}
	x, y := mustTensor(t, []int{n, n}, eye), mustTensor(t, []int{n, n}, out)
	var finished atomic.Bool
	done := make(chan error, 1)
	go func() {
		done <- s.Run(map[string]*Tensor{"x": x}, map[string]*Tensor{"y": y})
		finished.Store(true)
	}()
	for (x.hold.free() || y.hold.free()) && !finished.Load() {
		runtime.Gosched()
	}
	x.Close()
	y.Close()
	s.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(eye, out); diff != "" {
		t.Error(diff)
	}
	if x.hold.value != nil || y.hold.value != nil {
		t.Error("a tensor closed during the run was not freed after it")
	}
}

// TestHold closes a tensor between the beginning and the end of a run.
func TestHold(t *testing.T) {
	x := mustTensor(t, []int{2}, []float32{1, 2})
	_, leave, err := x.hold.open(false)
	if err != nil {
		t.Fatal(err)
	}
	x.Close()
	if x.hold.value == nil {
		t.Error("closing freed a tensor that a run uses")
	}
	leave()
	if x.hold.value != nil {
		t.Error("the end of the run did not free a closed tensor")
	}
}

// free says that no run uses the tensor.
func (h *hold) free() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.users == 0
}

func TestTypeNames(t *testing.T) {
	x := tensor[float64](t, nil, 3)
	if x.Type() != onnx.Double || len(x.Shape()) != 0 {
		t.Errorf("a scalar of float64 has type %s and shape %v", x.Type(), x.Shape())
	}
}
