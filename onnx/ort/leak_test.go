package ort

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// resident is this process's resident memory in bytes, 0 where the system does not say.
func resident(t *testing.T) int {
	t.Helper()
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, err := strconv.Atoi(string(bytes.Fields(data)[1]))
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// TestNothingLeaks opens and closes a thousand sessions, and makes and closes tensors of 4 MB each a thousand times.
// After a warm-up, memory stays within a bound far below what leaking them would take (4 GB).
func TestNothingLeaks(t *testing.T) {
	before := sessions.Load()
	data := make([]float32, 1<<20)
	round := func(count int) {
		for range count {
			s, err := OpenModel(product(), Options{Threads: 1})
			if err != nil {
				t.Fatal(err)
			}
			a, b := mustTensor(t, []int{1 << 20, 1}, data), mustTensor(t, []int{1, 2}, data[:2])
			fetches := map[string]*Tensor{"y": nil}
			if count < 100 {
				if err := s.Run(map[string]*Tensor{"a": a, "b": b}, fetches); err != nil {
					t.Fatal(err)
				}
				fetches["y"].Close()
			}
			a.Close()
			b.Close()
			s.Close()
		}
		runtime.GC()
	}
	round(50)
	start := resident(t)
	round(1000)
	round(50)
	if grown := resident(t) - start; grown > 64<<20 {
		t.Errorf("resident memory grew by %d MB", grown>>20)
	}
	if open := sessions.Load() - before; open != 0 {
		t.Errorf("%d sessions are still open", open)
	}
}

// TestForgottenSession leaves closing to the garbage collector.
func TestForgottenSession(t *testing.T) {
	before := sessions.Load()
	for range 10 {
		if _, err := OpenModel(product(), Options{Threads: 1}); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		runtime.GC()
		if sessions.Load() == before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d forgotten sessions are still open", sessions.Load()-before)
}
