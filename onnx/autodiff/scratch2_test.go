package autodiff_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"metalora/adapters"
	"metalora/models"
	"metalora/onnx"
	"metalora/onnx/autodiff"
	"metalora/onnx/ort"
)

func TestScratchSpeed(t *testing.T) {
	cfg, err := models.ReadConfig("../../../shared/reference/nano-roberta/config.json")
	if err != nil {
		t.Fatal(err)
	}
	cfg.HiddenSize, cfg.NumAttentionHeads, cfg.IntermediateSize, cfg.NumHiddenLayers, cfg.VocabSize = 768, 12, 3072, 2, 1000
	p := 0.0
	if os.Getenv("DROP") != "" {
		p = 0.1
	}
	m := models.Forward(cfg, models.Dropout{Hidden: p, Attention: p, Head: p})
	lora := os.Getenv("LORA") != ""
	var wrt, rows []string
	if lora {
		l := adapters.LoRA{Rank: 8, Alpha: 16}
		if os.Getenv("QV") != "" {
			l.Targets = []string{"query", "value"}
		}
		sites, err := l.Sites(adapters.Linears(m))
		if err != nil {
			t.Fatal(err)
		}
		if m, err = adapters.Insert(m, sites, p); err != nil {
			t.Fatal(err)
		}
	}
	m = models.AddLoss(m)
	for _, in := range m.Graph.Inputs {
		if in.Type == onnx.Float && in.Name != "targets" && (!lora || strings.Contains(in.Name, "lora_") || strings.HasPrefix(in.Name, "classifier")) {
			wrt = append(wrt, in.Name)
			if strings.Contains(in.Name, "word_emb") || strings.Contains(in.Name, "position_emb") {
				rows = append(rows, in.Name)
			}
		}
	}
	d, gs, err := autodiff.Differentiate(m, autodiff.Request{Of: "loss", Wrt: wrt, Rows: rows})
	if err != nil {
		t.Fatal(err)
	}
	d.WriteFile("/tmp/scratch-grad.onnx")
	counts := map[string]int{}
	for _, n := range d.Graph.Nodes[len(m.Graph.Nodes):] {
		counts[n.Op]++
	}
	fmt.Println("forward nodes", len(m.Graph.Nodes), "backward", len(d.Graph.Nodes)-len(m.Graph.Nodes), counts)
	R, L := 16, 128
	sym := map[string]int{"rows": R, "length": L, "tokens": R * L}
	feeds := map[string]*ort.Tensor{}
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, in := range d.Graph.Inputs {
		n := 1
		var shape []int
		for _, dd := range in.Shape {
			s := int(dd.Size)
			if s < 0 {
				s = sym[dd.Name]
			}
			shape = append(shape, s)
			n *= s
		}
		var x *ort.Tensor
		var err error
		switch in.Type {
		case onnx.Float:
			data := make([]float32, n)
			for i := range data {
				data[i] = float32(rnd.NormFloat64() * 0.03)
			}
			x, err = ort.NewTensor(shape, data)
		case onnx.Int64:
			data := make([]int64, n)
			for i := range data {
				data[i] = 1
				if in.Name == "input_ids" {
					data[i] = 5 + rnd.Int64N(900)
				}
			}
			x, err = ort.NewTensor(shape, data)
		case onnx.Bool:
			data := make([]uint8, n)
			for i := range data {
				if rnd.Float64() > 0.1 {
					data[i] = 1
				}
			}
			x, err = ort.NewBools(shape, data)
		}
		if err != nil {
			t.Fatal(err)
		}
		feeds[in.Name] = x
	}
	o := ort.Options{Threads: 2}
	if os.Getenv("PROF") != "" {
		o.ProfilePrefix = "/tmp/scratch-prof"
	}
	s, err := ort.OpenModel(d, o)
	if err != nil {
		t.Fatal(err)
	}
	var times []float64
	for range 1 {
		out := map[string]*ort.Tensor{"loss": nil}
		for _, g := range gs {
			out[g.Output] = nil
		}
		start := time.Now()
		if err := s.Run(feeds, out); err != nil {
			t.Fatal(err)
		}
		times = append(times, float64(time.Since(start).Microseconds())/1000)
		for _, x := range out {
			x.Close()
		}
	}
	slices.Sort(times)
	s.Close()
	b, _ := os.ReadFile("/proc/self/status")
	i := strings.Index(string(b), "VmHWM")
	fmt.Printf("best %.0f median %.0f ms %s\n", times[0], times[0], strings.SplitN(string(b[i:]), "\n", 2)[0])
}
