package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/onnx"
	"metalora/onnx/ort"
	"metalora/onnx/ort/orttest"
)

// square is loss = sum(w * x * x), with the model's own choice of opset.
func square(opset int64) *onnx.Model {
	m := onnx.NewModel(&onnx.Graph{Name: "square"})
	b := onnx.NewBuilder(m.Graph)
	b.Input("x", onnx.Float, 3)
	b.Input("ids", onnx.Int64, 2)
	w := onnx.Floats([]int64{3}, 1, 2, 3)
	w.Name = "head.weight"
	m.Graph.Initializers = append(m.Graph.Initializers, w)
	y := b.Op("Mul", []string{"head.weight", b.Op("Mul", []string{"x", "x"})})
	b.Named("loss", "ReduceSum", []string{y}, onnx.IntAttr("keepdims", 0))
	b.Named("picked", "Gather", []string{"x", "ids"})
	b.Output("loss", onnx.Float)
	b.Output("picked", onnx.Float, 2)
	m.Opsets[""] = opset
	return m
}

func saved(t *testing.T, m *onnx.Model) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := m.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestGrad runs the written file and finds the derivatives of sum(w x²): 2 w x and x².
func TestGrad(t *testing.T) {
	model := saved(t, square(17))
	out := filepath.Join(t.TempDir(), "with.onnx")
	stdout := succeed(t, "grad", model, "--wrt", "head.*", "x", "-o", out)
	if want := out + ": 2 gradients of loss\n"; stdout != want {
		t.Errorf("it says %q, want %q", stdout, want)
	}
	session, err := ort.OpenFile(out, ort.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	feeds, got := map[string]*ort.Tensor{"x": orttest.Tensor(t, []int{3}, []float32{1, -2, 0.5}), "ids": orttest.Tensor(t, []int{2}, []int64{0, 1})}, map[string]*ort.Tensor{}
	for _, o := range []string{"loss", "grad::x", "grad::head.weight"} {
		shape := []int{3}
		if o == "loss" {
			shape = []int{}
		}
		got[o] = orttest.Tensor(t, shape, make([]float32, max(1, 3*len(shape))))
	}
	if err := session.Run(feeds, got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]float32{"loss": {9.75}, "grad::x": {2, -8, 3}, "grad::head.weight": {1, 4, 0.25}} {
		if d := cmp.Diff(want, ort.Data[float32](got[name])); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// TestGradNotes: what one may not expect is said on stderr, and only then.
func TestGradNotes(t *testing.T) {
	model := saved(t, square(13))
	for name, c := range map[string]struct {
		args []string
		want string // on stderr, whole
		says string // on stdout
	}{
		"nothing":     {[]string{"--wrt", "x"}, "", "1 gradients of loss"},
		"integers":    {[]string{"--wrt", "x", "ids"}, "note: integers, which have no gradient, left out: ids\n", "1 gradients of loss"},
		"independent": {[]string{"--wrt", "head.weight", "--of", "picked"}, "note: picked does not depend on them, so their gradient is zero: head.weight\n", "feed its cotangent as cotangent::picked"},
		"lifted":      {[]string{"--wrt", "x", "--of", "picked"}, "note: lifted from opset 13 to 16, which a gradient needs\n", "1 gradients of picked"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out.onnx")
			code, stdout, stderr := invoke(t, "", append([]string{"grad", model, "-o", out}, c.args...)...)
			if code != 0 || stderr != c.want || !strings.Contains(stdout, c.says) {
				t.Errorf("exit code %d, stderr %q, want %q; stdout, which should have %q: %q", code, stderr, c.want, c.says, stdout)
			}
		})
	}
}

// badModels are files that are no sound model, each with the name of what is wrong.
func badModels(t *testing.T) map[string]struct {
	data []byte
	want []string
} {
	edited := func(edit func(*onnx.Model)) []byte {
		m := square(17)
		edit(m)
		data, err := m.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	whole := edited(func(*onnx.Model) {})
	node := func(op, name, in, out string) *onnx.Node {
		return &onnx.Node{Name: name, Op: op, Inputs: []string{in}, Outputs: []string{out}}
	}
	return map[string]struct {
		data []byte
		want []string
	}{
		"empty":     {nil, []string{"no graph"}},
		"text":      {[]byte("this is no model"), []string{"protobuf"}},
		"truncated": {whole[:len(whole)-20], []string{"protobuf"}},
		"cyclic": {edited(func(m *onnx.Model) {
			m.Graph.Nodes = append([]*onnx.Node{node("Exp", "first", "b", "a"), node("Exp", "second", "a", "b")}, m.Graph.Nodes...)
		}), []string{`"first"`, "later node"}},
		"dangling":              {edited(func(m *onnx.Model) { m.Graph.Nodes[1].Inputs[0] = "nowhere" }), []string{"nowhere", "nothing defines"}},
		"duplicate value":       {edited(func(m *onnx.Model) { m.Graph.Nodes = append(m.Graph.Nodes, node("Exp", "again", "x", "loss")) }), []string{"loss", "twice"}},
		"output of nothing":     {edited(func(m *onnx.Model) { m.Graph.Outputs[1].Name = "ghost" }), []string{"ghost"}},
		"no opset":              {edited(func(m *onnx.Model) { delete(m.Opsets, "") }), []string{`no version of its operator set ""`}},
		"shapes that cannot be": {edited(func(m *onnx.Model) { m.Graph.Initializers[0] = named("head.weight", onnx.Floats([]int64{2}, 1, 2)) }), []string{"Mul", "inferring shapes"}},
		"no rule": {edited(func(m *onnx.Model) {
			m.Opsets["com.example"] = 1
			n := node("Mystery", "odd", "x", "odd:out")
			n.Domain = "com.example"
			m.Graph.Nodes = append([]*onnx.Node{n, node("Bernoulli", "oddest", "odd:out", "odder")}, m.Graph.Nodes...)
			m.Graph.Nodes[2].Inputs[0] = "odder"
		}), []string{"2 of the graph's nodes", `"odd" (com.example::Mystery): there is no rule`, `"oddest" (Bernoulli): it draws at random`}},
	}
}

func named(name string, t *onnx.Tensor) *onnx.Tensor {
	t.Name = name
	return t
}

// TestGradBadModels: an input error that names the file and the place, and a file that was there stays as it was.
func TestGradBadModels(t *testing.T) {
	for name, c := range badModels(t) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			model, out := filepath.Join(dir, "bad.onnx"), filepath.Join(dir, "out.onnx")
			for path, data := range map[string][]byte{model: c.data, out: []byte("before")} {
				if err := os.WriteFile(path, data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			code, stdout, stderr := invoke(t, "", "grad", model, "--wrt", "x", "-o", out)
			if code != 3 || stdout != "" {
				t.Errorf("exit code %d, want 3; stdout %q", code, stdout)
			}
			for _, want := range append(c.want, "bad.onnx") {
				if !strings.Contains(stderr, want) {
					t.Errorf("the message does not say %s:\n%s", want, stderr)
				}
			}
			data, err := os.ReadFile(out)
			left, errDir := os.ReadDir(dir)
			if err != nil || !bytes.Equal(data, []byte("before")) || errDir != nil || len(left) != 2 {
				t.Errorf("the output file holds %q (%v), the folder %v (%v)", data, err, left, errDir)
			}
		})
	}
}

// TestGradUsage: what is asked wrongly, by exit code and what the message names; nothing is written.
func TestGradUsage(t *testing.T) {
	model := saved(t, square(17))
	dir := t.TempDir()
	out := filepath.Join(dir, "out.onnx")
	link := filepath.Join(dir, "link.onnx")
	if err := os.Symlink(model, link); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no pattern":       {[]string{model, "-o", out}, 2, "--wrt"},
		"no output file":   {[]string{model, "--wrt", "x"}, 2, "-o"},
		"no model":         {[]string{"--wrt", "x", "-o", out}, 2, "FILE.onnx"},
		"missing model":    {[]string{filepath.Join(dir, "gone.onnx"), "--wrt", "x", "-o", out}, 3, "gone.onnx"},
		"matches nothing":  {[]string{model, "--wrt", "encoder.*", "-o", out}, 2, "encoder.*"},
		"no such output":   {[]string{model, "--wrt", "x", "--of", "cost", "-o", out}, 2, `"cost"`},
		"no such folder":   {[]string{model, "--wrt", "x", "-o", filepath.Join(dir, "no", "out.onnx")}, 2, "no/out.onnx"},
		"folder as output": {[]string{model, "--wrt", "x", "-o", dir}, 2, "not a file"},
		"folder as model":  {[]string{dir, "--wrt", "x", "-o", out}, 3, dir},
		"itself":           {[]string{model, "--wrt", "x", "-o", model}, 2, "model that is read"},
		"itself by a link": {[]string{model, "--wrt", "x", "-o", link}, 2, "model that is read"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := invoke(t, "", append([]string{"grad"}, c.args...)...)
			if code != c.code || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, want %d; message, which should have %q:\n%s", code, c.code, c.want, stderr)
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("a file was written")
			}
		})
	}
}
