package adapters

import (
	"slices"
	"testing"
)

// TestSitesByName: targets choose among the numbered layers where there are any, else among all layers but a head's.
func TestSitesByName(t *testing.T) {
	numbered := []string{"bert.encoder.layer.0.attention.self.query", "bert.encoder.layer.0.output.dense", "bert.pooler.dense", "classifier"}
	plain := []string{"mix.up", "mix.down", "onnx::MatMul_7", "classifier"}
	for name, c := range map[string]struct {
		linears []string
		lora    LoRA
		want    []string
	}{
		"numbered":           {numbered, LoRA{}, numbered[:2]},
		"numbered, by end":   {numbered, LoRA{Targets: []string{"dense"}}, numbered[1:2]},
		"plain":              {plain, LoRA{}, plain[:3]},
		"plain, by end":      {plain, LoRA{Targets: []string{"down"}}, plain[1:2]},
		"plain, by name":     {plain, LoRA{Targets: []string{"onnx::MatMul_7", "mix.up"}}, []string{"mix.up", "onnx::MatMul_7"}},
		"plain, by pattern":  {plain, LoRA{TargetRegexp: `mix\..*`}, plain[:2]},
		"plain, by no layer": {plain, LoRA{Targets: []string{"query"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var linears []Linear
			for _, x := range c.linears {
				linears = append(linears, Linear{Name: x, In: 4, Out: 4})
			}
			c.lora.Rank, c.lora.Alpha = 2, 4
			sites, err := c.lora.Sites(linears)
			if (err != nil) != (c.want == nil) {
				t.Fatal(err)
			}
			var got []string
			for _, s := range sites {
				got = append(got, s.Linear)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("sites %v, want %v", got, c.want)
			}
		})
	}
}
