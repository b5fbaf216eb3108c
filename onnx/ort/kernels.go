package ort

import (
	"fmt"
	"reflect"
	"unsafe"

	"metalora/onnx/kernels"

	engine "github.com/yalue/onnxruntime_go"
)

// addKernels makes the operators of package kernels known to a session.
func addKernels(so *engine.SessionOptions) error {
	options, err := pointer(so)
	if err != nil {
		return err
	}
	return kernels.Register(options, loaded())
}

// pointer is the OrtSessionOptions behind the binding's, which the binding has no way to give out: T is a struct whose only
// field points to it. A binding that lays it out otherwise is an error.
func pointer[T any](so *T) (unsafe.Pointer, error) {
	t := reflect.TypeFor[T]()
	if t.Kind() != reflect.Struct || t.NumField() != 1 || t.Field(0).Name != "o" || t.Field(0).Type.Kind() != reflect.Pointer {
		return nil, fmt.Errorf("%v is not a struct of one pointer named o: this version of the binding hides its options elsewhere (run without kernels)", t)
	}
	return *(*unsafe.Pointer)(unsafe.Pointer(so)), nil
}
