package adapters

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"metalora/models/safetensors"
)

// Merge folds an adapter into a copy of a model's weights: W + scale·B·A for each adapted layer, and the adapter's head
// in place of the model's. Tensors that do not change are shared with base, which stays as it is.
func Merge(base safetensors.Tensors, a *Adapter) (safetensors.Tensors, error) {
	var linears []Linear
	for _, name := range base.Names() {
		shape := base[name].Shape
		if linear, ok := strings.CutSuffix(name, ".weight"); ok && len(shape) == 2 {
			linears = append(linears, Linear{Name: linear, In: shape[1], Out: shape[0]})
		}
	}
	if !Numbered(linears) { // tables look like linear layers
		linears = slices.DeleteFunc(linears, func(x Linear) bool { return a.Tensors[Site{Linear: x.Name}.A()].Data == nil })
	}
	sites, err := a.Sites(linears)
	if err != nil {
		return nil, fmt.Errorf("merging: %w", err)
	}
	merged := maps.Clone(base)
	for _, s := range sites {
		w := merged[s.Linear+".weight"]
		merged[s.Linear+".weight"] = safetensors.Tensor{Shape: w.Shape, Data: MergeDelta(w.Data, s, a.Tensors)}
	}
	maps.Copy(merged, a.Head())
	return merged, nil
}

// MergeDelta returns w + scale·B·A for a site whose matrices are in t. w is [out, in] and stays as it is; sums are
// taken in float64, so each element is rounded once.
func MergeDelta(w []float32, s Site, t safetensors.Tensors) []float32 {
	out := make([]float32, len(w))
	sum := make([]float64, s.In)
	a, b := t[s.A()].Data, t[s.B()].Data
	for o := range s.Out {
		clear(sum)
		for r := range s.Rank {
			f := s.Scale * float64(b[o*s.Rank+r])
			for i, x := range a[r*s.In : (r+1)*s.In] {
				sum[i] += f * float64(x)
			}
		}
		row := out[o*s.In : (o+1)*s.In]
		for i, x := range w[o*s.In : (o+1)*s.In] {
			row[i] = float32(float64(x) + sum[i])
		}
	}
	return out
}
