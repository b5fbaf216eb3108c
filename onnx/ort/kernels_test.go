package ort

import (
	"strings"
	"testing"
	"unsafe"

	engine "github.com/yalue/onnxruntime_go"
)

// TestPointer: the engine's options are read out of the binding's where it keeps them as known, and nowhere else.
func TestPointer(t *testing.T) {
	so := &engine.SessionOptions{}
	if p, err := pointer(so); err != nil || p != nil {
		t.Errorf("got %v, %v of options that are not made", p, err)
	}
	x := 1
	own := struct{ o *int }{&x}
	if p, err := pointer(&own); err != nil || p != unsafe.Pointer(&x) {
		t.Errorf("got %v, %v; want %v", p, err, &x)
	}
	refuses(t, &struct{ o, p *int }{})
	refuses(t, &struct{ options *int }{})
	refuses(t, &struct{ o uintptr }{})
	refuses(t, new(int))
}

func refuses[T any](t *testing.T, so *T) {
	t.Helper()
	if p, err := pointer(so); err == nil || !strings.Contains(err.Error(), "this version of the binding") {
		t.Errorf("%T: got %v, %v", so, p, err)
	}
}
