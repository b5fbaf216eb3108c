package exported_test

import (
	"slices"
	"strings"
	"testing"

	"metalora/models"
	"metalora/models/exported"
	"metalora/models/safetensors"
	"metalora/onnx"
	"metalora/pipeline/rng"
)

// small is an encoder of one layer as an .onnx file has it.
func small(t testing.TB) *onnx.Model {
	t.Helper()
	c := models.DefaultConfig()
	c.VocabSize, c.HiddenSize, c.NumHiddenLayers, c.NumAttentionHeads = 12, 4, 1, 2
	c.IntermediateSize, c.MaxPositionEmbeddings, c.TypeVocabSize = 6, 8, 1
	graph, err := c.Forward(models.Dropout{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := models.Fill(graph, models.Initialise(c, rng.New(1, "small")), nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestOpenOwn: what metalora writes it reads again, at every operator set, under the same names and with the same values.
func TestOpenOwn(t *testing.T) {
	for _, opset := range []int64{14, 16, 17, 18, 20, onnx.NewestOpset} {
		m, err := onnx.Lower(small(t), opset)
		if err != nil {
			t.Fatal(err)
		}
		x, err := exported.Open(m)
		if err != nil {
			t.Fatalf("opset %d: %v", opset, err)
		}
		norms := 0
		for _, n := range x.Graph.Graph.Nodes {
			if n.Op == "LayerNormalization" {
				norms++
			}
		}
		if norms != 3 || len(x.Weights) != 5+16+4 || len(x.Guesses()) > 0 {
			t.Errorf("opset %d: %d norms, %d weights, guesses %v", opset, norms, len(x.Weights), x.Guesses())
		}
	}
}

// TestOpenRefuses: what does not train is said to, by name.
func TestOpenRefuses(t *testing.T) {
	graph := func(edit func(*onnx.Graph)) func(*onnx.Model) { return func(m *onnx.Model) { edit(m.Graph) } }
	for name, c := range map[string]struct {
		edit func(*onnx.Model)
		want []string
	}{
		"dangling":       {graph(func(g *onnx.Graph) { g.Nodes[3].Inputs[0] = "nowhere" }), []string{"nowhere"}},
		"cyclic":         {graph(func(g *onnx.Graph) { slices.Reverse(g.Nodes) }), []string{"later node"}},
		"old opset":      {func(m *onnx.Model) { m.Opsets[""] = 10 }, []string{"operator set 10"}},
		"fixed shape":    {graph(func(g *onnx.Graph) { g.Inputs[0].Shape = onnx.Dims(1, 128) }), []string{"input_ids", "fixed"}},
		"rank":           {graph(func(g *onnx.Graph) { g.Inputs[1].Shape = onnx.Dims("n") }), []string{"attention_mask", "[rows, length]"}},
		"float ids":      {graph(func(g *onnx.Graph) { g.Inputs[0].Type = onnx.Float }), []string{"input_ids", "float"}},
		"other input":    {graph(func(g *onnx.Graph) { g.Inputs = append(g.Inputs, onnx.ValueInfo{Name: "pixels", Type: onnx.Float}) }), []string{"pixels"}},
		"no logits":      {graph(func(g *onnx.Graph) { g.Outputs[0].Name = g.Nodes[0].Output(0) }), []string{"classification head", "logits"}},
		"language model": {graph(endsIn(12)), []string{"12 words", "language model"}},
		"too wide":       {graph(endsIn(1000)), []string{"1000 numbers for each token"}},
		"quantised": {graph(func(g *onnx.Graph) {
			g.Nodes[5] = &onnx.Node{Name: "rounds", Op: "DynamicQuantizeLinear", Inputs: g.Nodes[5].Inputs, Outputs: g.Nodes[5].Outputs}
		}), []string{"rounds", "quantised"}},
		"misshapen weight": {graph(func(g *onnx.Graph) {
			for _, w := range g.Initializers {
				if w.Name == "classifier.dense.weight" {
					w.Dims, w.Raw = []int64{1 << 50, 0}, nil
				}
			}
		}), []string{"head/Gemm", "[1125899906842624 0]"}},
		"not finite": {graph(func(g *onnx.Graph) {
			for _, w := range g.Initializers {
				if w.Name == "classifier.dense.weight" {
					copy(w.Raw, []byte{0, 0, 0xc0, 0x7f})
				}
			}
		}), []string{"classifier.dense.weight", "NaN"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := small(t)
			c.edit(m)
			_, err := exported.Open(m)
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want one that says %q", err, want)
				}
			}
		})
	}
}

// TestOpenManyInputs: sums and products of more than two, which no file has that runs, are no chain's.
func TestOpenManyInputs(t *testing.T) {
	m := small(t)
	for _, n := range m.Graph.Nodes {
		if n.Op == "Mul" || n.Op == "Add" {
			n.Inputs = append(n.Inputs, n.Inputs...)
		}
	}
	if _, err := exported.Open(m); err != nil { // rather than a panic
		t.Log(err)
	}
}

// endsIn makes a graph give so many numbers for each token.
func endsIn(width int64) func(*onnx.Graph) {
	return func(g *onnx.Graph) {
		weight := onnx.Floats([]int64{4, width}, make([]float32, 4*width)...)
		weight.Name = "lm_head"
		g.Initializers = append(g.Initializers, weight)
		g.Nodes = append(g.Nodes,
			&onnx.Node{Op: "Gather", Inputs: []string{"roberta.embeddings.word_embeddings.weight", "input_ids"}, Outputs: []string{"words"}},
			&onnx.Node{Op: "MatMul", Inputs: []string{"words", weight.Name}, Outputs: []string{"last"}})
		g.Outputs = []onnx.ValueInfo{{Name: "last", Type: onnx.Float, Shape: onnx.Dims("a", "b", width)}}
	}
}

// TestNamesFromPlaces: without a bias that tells, the node's place does, and the name is a guess.
func TestNamesFromPlaces(t *testing.T) {
	const weight, bias = "classifier.dense.weight", "classifier.dense.bias"
	for _, c := range []struct {
		name, bias, node, output string
		want                     string
		source                   exported.Source
	}{
		{"the bias", bias, "Gemm_7", "y", weight, exported.FromBias},
		{"the node's name", "onnx::Add_8", "/head/dense/Gemm", "y", "head.dense.weight", exported.FromPath},
		{"the output's name", "onnx::Add_8", "", "/head/dense/Gemm_output_0", "head.dense.weight", exported.FromPath},
		{"nothing", "onnx::Add_8", "Gemm_7", "y", "onnx::MatMul_9.weight", exported.Unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := small(t)
			rename(m, weight, "onnx::MatMul_9")
			rename(m, bias, c.bias)
			for _, n := range m.Graph.Nodes {
				if n.Input(1) == "onnx::MatMul_9" {
					before := n.Output(0)
					n.Name = c.node
					rename(m, before, c.output)
				}
			}
			x, err := exported.Open(m)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(x.Names, func(n exported.Name) bool { return n.File == "onnx::MatMul_9" })
			if i < 0 {
				t.Fatalf("the weight is not among %v", x.Names)
			}
			if got := x.Names[i]; got.Name != c.want || got.Source != c.source || got.Guess != (c.source != exported.FromBias) {
				t.Errorf("%+v, want %s from %s", got, c.want, c.source)
			}
		})
	}
}

// TestSharedTensors: exporters keep equal tensors once. What then is read in many places keeps its name, and gives none to
// the layers that read it.
func TestSharedTensors(t *testing.T) {
	m := small(t)
	const kept = "roberta.embeddings.LayerNorm.bias" // zeros, as all biases of an untrained model of this width
	for _, name := range []string{"roberta.encoder.layer.0.attention.self.query.bias", "roberta.encoder.layer.0.output.dense.bias"} {
		rename(m, name, kept)
		i := slices.IndexFunc(m.Graph.Initializers, func(w *onnx.Tensor) bool { return w.Name == kept })
		m.Graph.Initializers = slices.Delete(m.Graph.Initializers, i, i+1)
		rename(m, strings.TrimSuffix(name, "bias")+"weight", "onnx::"+name)
	}
	x, err := exported.Open(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range x.Names {
		if strings.HasPrefix(n.File, "onnx::") && (n.Source != exported.Unknown || !n.Guess) {
			t.Errorf("%+v, though nothing tells", n)
		}
	}
	if w := x.Weights["roberta.embeddings.LayerNorm.weight"]; !slices.Equal(w.Shape, []int{4}) {
		t.Errorf("the norm's weight has shape %v", w.Shape)
	}
}

// rename gives a value another name.
func rename(m *onnx.Model, from, to string) {
	for _, w := range m.Graph.Initializers {
		if w.Name == from {
			w.Name = to
		}
	}
	for _, n := range m.Graph.Nodes {
		for _, list := range [][]string{n.Inputs, n.Outputs} {
			for i, v := range list {
				if v == from {
					list[i] = to
				}
			}
		}
	}
}

// TestDropoutNeedsItsPlaces: a rate that the graph shows no place for is an error, not a training without it.
func TestDropoutNeedsItsPlaces(t *testing.T) {
	m := small(t)
	for i, n := range m.Graph.Nodes {
		if n.Op == "Softmax" { // in other words
			logs := &onnx.Node{Op: "LogSoftmax", Inputs: n.Inputs, Outputs: []string{"logs"}, Attrs: n.Attrs}
			exp := &onnx.Node{Op: "Exp", Inputs: []string{"logs"}, Outputs: n.Outputs}
			m.Graph.Nodes = slices.Replace(m.Graph.Nodes, i, i+1, logs, exp)
			break
		}
	}
	x, err := exported.Open(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Dropout(exported.Rates{Hidden: 0.1, Head: 0.1}); err != nil {
		t.Errorf("without attention's rate: %v", err)
	}
	if _, err := x.Dropout(exported.Rates{Attention: 0.1}); err == nil || !strings.Contains(err.Error(), "attention probabilities") {
		t.Errorf("error %v, want one that names attention probabilities", err)
	}
}

// FuzzOpen: whatever a file holds, there is a model or an error.
func FuzzOpen(f *testing.F) {
	for _, opset := range []int64{14, 20} {
		m, err := onnx.Lower(small(f), opset)
		if err != nil {
			f.Fatal(err)
		}
		data, err := m.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := onnx.Unmarshal(data)
		if err != nil {
			return
		}
		x, err := exported.Open(m)
		if err != nil {
			return
		}
		x.Limits()
		if _, err := x.Head(); err != nil {
			t.Errorf("a model that was opened has no head to be found: %v", err)
		}
		x.Dropout(exported.Rates{Hidden: 0.1, Attention: 0.1, Head: 0.1})
		if _, err := models.Fill(x.Graph, x.Tensors(), safetensors.Tensors{}); err != nil {
			t.Errorf("a model that was opened cannot be written: %v", err)
		}
	})
}
