// Package adapters puts few trainable weights onto a frozen graph.
//
// LoRA (Hu et al. 2021) replaces a linear layer W by W + (α/r)·B·A with A [r, in] and B [out, r]. [Linears] finds the linear
// layers of a graph, a [LoRA] says on which of them an adapter sits, [Insert] puts the two thin products behind each, and
// [Load] and [Adapter.Save] speak the folder format of Hugging Face's PEFT.
package adapters

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"metalora/models/safetensors"
	"metalora/onnx"
	"metalora/pipeline/rng"
)

// LoRA says where adapters sit and how large they are.
type LoRA struct {
	Rank    int
	Alpha   float64
	Dropout float64 // of an adapter's input while training
	RSLoRA  bool    // scale α/√r in place of α/r (Kalajdzievski 2023)

	// Symmetric adapters have B = Aᵀ on square layers, U Uᵀ in the theory of Block et al. (2024), and are ordinary on others.
	Symmetric bool

	// Targets are names of linear layers or their endings after a dot ("query"); TargetRegexp matches whole names. With
	// neither, adapters sit on every linear layer of the encoder: those of numbered layers or, where a graph numbers none, all
	// that are not a head's by their names.
	Targets      []string
	TargetRegexp string
	Layers       []int // only these encoder layers; nil: all

	// RankPattern and AlphaPattern override Rank and Alpha. A pattern is a regular expression for a whole name or for
	// what follows a dot in it; the first that matches counts.
	RankPattern, AlphaPattern []Pattern
}

// Pattern is a number for the layers that a regular expression matches.
type Pattern struct {
	Regexp string
	Value  float64
}

// Linear is a linear layer of a graph.
type Linear struct {
	Name    string // the weight's without ".weight"
	In, Out int
}

// Site is an adapter's place.
type Site struct {
	Linear    string
	In        int
	Out       int
	Rank      int
	Scale     float64 // of B·A
	Symmetric bool    // B is Aᵀ and no weight of its own
}

// A and B are the names of a site's weights: A [rank, in] and B [out, rank].
func (s Site) A() string { return s.Linear + ".lora_A.weight" }
func (s Site) B() string { return s.Linear + ".lora_B.weight" }

// Weights are the names of those that the site has.
func (s Site) Weights() []string {
	if s.Symmetric {
		return []string{s.A()}
	}
	return []string{s.A(), s.B()}
}

// Linears lists the linear layers of a graph in its order: every Gemm(x, W, …, transB=1), whatever its alpha, whose W is an
// input or initializer named X.weight.
func Linears(m *onnx.Model) []Linear {
	shapes := map[string][]int64{}
	for _, v := range m.Graph.Inputs {
		if len(v.Shape) == 2 {
			shapes[v.Name] = []int64{v.Shape[0].Size, v.Shape[1].Size}
		}
	}
	for _, t := range m.Graph.Initializers {
		shapes[t.Name] = t.Dims
	}
	var found []Linear
	for _, n := range m.Graph.Nodes {
		if name, ok := linear(n); ok && len(shapes[name+".weight"]) == 2 {
			s := shapes[name+".weight"]
			found = append(found, Linear{Name: name, In: int(s[1]), Out: int(s[0])})
		}
	}
	return found
}

// linear tells whether a node is a linear layer, and its name.
func linear(n *onnx.Node) (string, bool) {
	if n.Op != "Gemm" || n.Domain != "" || n.Int("transB", 0) != 1 || n.Int("transA", 0) != 0 {
		return "", false
	}
	return strings.CutSuffix(n.Input(1), ".weight")
}

// Sites chooses among the linear layers. A target that matches none of them is an error.
func (l LoRA) Sites(linears []Linear) ([]Site, error) {
	match, err := l.matcher(linears)
	if err != nil {
		return nil, fmt.Errorf("choosing LoRA's layers: %w", err)
	}
	var sites []Site
	for _, x := range linears {
		if !match(x.Name) || !l.inLayers(x.Name) {
			continue
		}
		s, err := l.At(x)
		if err != nil {
			return nil, fmt.Errorf("choosing LoRA's layers: %w", err)
		}
		sites = append(sites, s)
	}
	if err := l.unmatched(linears); err != nil {
		return nil, err
	}
	if len(sites) == 0 {
		return nil, fmt.Errorf("choosing LoRA's layers: none of the model's %d linear layers is meant", len(linears))
	}
	return sites, nil
}

// matcher tells which names the targets mean among linear layers.
func (l LoRA) matcher(linears []Linear) (func(string) bool, error) {
	encoder := inEncoder(linears)
	switch {
	case l.TargetRegexp != "":
		re, err := whole(l.TargetRegexp)
		if err != nil {
			return nil, err
		}
		return func(name string) bool { return !isHead(name) && re.MatchString(name) }, nil
	case len(l.Targets) > 0:
		// PEFT's "dense" means the encoder's dense layers and not the head's, which is saved whole.
		return func(name string) bool {
			return encoder(name) && slices.ContainsFunc(l.Targets, func(t string) bool { return ends(name, t) })
		}, nil
	}
	return encoder, nil
}

// unmatched refuses targets that mean no layer at all.
func (l LoRA) unmatched(linears []Linear) error {
	if l.TargetRegexp != "" {
		return nil
	}
	encoder := inEncoder(linears)
	for _, t := range l.Targets {
		if !slices.ContainsFunc(linears, func(x Linear) bool { return encoder(x.Name) && ends(x.Name, t) }) {
			return fmt.Errorf("choosing LoRA's layers: no linear layer of the encoder is named or ends in %q", t)
		}
	}
	return nil
}

// Numbered tells whether any of the linear layers is a numbered layer's: encoder.layer.0.…, transformer.layer.0.…
func Numbered(linears []Linear) bool {
	return slices.ContainsFunc(linears, func(x Linear) bool { return layerNumber.MatchString(x.Name) })
}

// inEncoder tells the names of the encoder's modules from others.
func inEncoder(linears []Linear) func(name string) bool {
	if Numbered(linears) {
		return layerNumber.MatchString
	}
	return func(name string) bool { return !isHead(name) }
}

// ends tells whether a name is t or ends in it after a dot.
func ends(name, t string) bool { return name == t || strings.HasSuffix(name, "."+t) }

var layerNumber = regexp.MustCompile(`(?:^|\.)layer\.(\d+)\.`)

func (l LoRA) inLayers(name string) bool {
	if l.Layers == nil {
		return true
	}
	m := layerNumber.FindStringSubmatch(name)
	if m == nil {
		return false
	}
	n, err := strconv.Atoi(m[1])
	return err == nil && slices.Contains(l.Layers, n)
}

// At is the adapter's place on one linear layer, whether the targets mean it or not.
func (l LoRA) At(x Linear) (Site, error) {
	rank, alpha := float64(l.Rank), l.Alpha
	for _, p := range []struct {
		patterns []Pattern
		value    *float64
	}{{l.RankPattern, &rank}, {l.AlphaPattern, &alpha}} {
		for _, pattern := range p.patterns {
			re, err := whole(`(.*\.)?(` + pattern.Regexp + `)`)
			if err != nil {
				return Site{}, err
			}
			if re.MatchString(x.Name) {
				*p.value = pattern.Value
				break
			}
		}
	}
	if rank < 1 || rank != math.Trunc(rank) {
		return Site{}, fmt.Errorf("%s: rank %v", x.Name, rank)
	}
	scale := alpha / rank
	if l.RSLoRA {
		scale = alpha / math.Sqrt(rank)
	}
	return Site{Linear: x.Name, In: x.In, Out: x.Out, Rank: int(rank), Scale: scale,
		Symmetric: l.Symmetric && x.In == x.Out}, nil
}

// maxExpression bounds a regular expression, which takes many times its length once it is compiled.
const maxExpression = 10_000

// whole compiles an expression that has to match a whole name. Go's expressions have no look-around.
func whole(expression string) (*regexp.Regexp, error) {
	if len(expression) > maxExpression {
		return nil, fmt.Errorf("regular expression of %d bytes, want at most %d", len(expression), maxExpression)
	}
	re, err := regexp.Compile(`^(?:` + expression + `)$`)
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", expression, err)
	}
	return re, nil
}

// symmetricDeviation is the standard deviation of a symmetric adapter's A at its start. It cannot start at zero as B does:
// the gradient of A Aᵀ is zero there.
const symmetricDeviation = 0.02

// Init draws adapters at their start: A uniform in ±1/√in (Kaiming's with a = √5, as PyTorch and PEFT have it), B zero,
// so that the model starts where it was. A symmetric adapter's A is N(0, 0.02²).
func Init(sites []Site, s *rng.Stream) safetensors.Tensors {
	t := safetensors.Tensors{}
	for _, site := range sites {
		a := make([]float32, site.Rank*site.In)
		for i := range a {
			if site.Symmetric {
				a[i] = float32(s.Normal() * symmetricDeviation)
			} else {
				a[i] = float32(s.Uniform(1 / math.Sqrt(float64(site.In))))
			}
		}
		t[site.A()] = safetensors.Tensor{Shape: []int{site.Rank, site.In}, Data: a}
		if !site.Symmetric {
			t[site.B()] = safetensors.Tensor{Shape: []int{site.Out, site.Rank}, Data: make([]float32, site.Out*site.Rank)}
		}
	}
	return t
}

// Explicit returns the weights with a B = Aᵀ for each symmetric site, as ordinary LoRA and so PEFT's format needs it.
func Explicit(sites []Site, weights safetensors.Tensors) safetensors.Tensors {
	all := maps.Clone(weights)
	for _, site := range sites {
		if !site.Symmetric {
			continue
		}
		a, b := weights[site.A()].Data, make([]float32, site.Out*site.Rank)
		for r := range site.Rank {
			for i := range site.In {
				b[i*site.Rank+r] = a[r*site.In+i]
			}
		}
		all[site.B()] = safetensors.Tensor{Shape: []int{site.Out, site.Rank}, Data: b}
	}
	return all
}
