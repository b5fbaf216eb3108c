package kernels_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestHeaders: the copies of ONNX Runtime's headers are those of the binding, whose version of the interface is the one that
// the library is checked for.
func TestHeaders(t *testing.T) {
	const binding = "github.com/yalue/onnxruntime_go"
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", binding).Output()
	if err != nil {
		t.Fatalf("looking for the binding's module: %v", err)
	}
	dir := string(bytes.TrimSpace(out))
	for _, name := range []string{"onnxruntime_c_api.h", "onnxruntime_ep_c_api.h", "onnxruntime_error_code.h"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is another than in %s: copy it from there", name, dir)
		}
	}
}
