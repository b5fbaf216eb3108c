package autodiff

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"metalora/onnx"
)

func TestScratchExports(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/reference/onnx-exports/*.onnx")
	for _, f := range files {
		m, err := onnx.ReadFile(f)
		if err != nil {
			fmt.Fprintln(os.Stderr, "READ", err)
			continue
		}
		var wrt []string
		for _, x := range m.Graph.Initializers {
			if x.Type.IsFloat() && len(x.Dims) > 0 {
				wrt = append(wrt, x.Name)
			}
		}
		for _, x := range m.Graph.Inputs {
			if x.Type.IsFloat() {
				wrt = append(wrt, x.Name)
			}
		}
		seen := map[string]bool{}
		var u []string
		for _, w := range wrt {
			if !seen[w] {
				u = append(u, w)
			}
			seen[w] = true
		}
		d, gs, err := Differentiate(m, Request{Of: "logits", Wrt: u})
		if err != nil {
			fmt.Fprintln(os.Stderr, filepath.Base(f), err)
			continue
		}
		fmt.Fprintln(os.Stderr, filepath.Base(f), len(gs), len(m.Graph.Nodes), len(d.Graph.Nodes), d.Opsets)
		if err := d.Check(); err != nil {
			t.Error(err)
		}
		open(t, d)
	}
}
