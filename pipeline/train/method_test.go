package train

import (
	"math"
	"slices"
	"strings"
	"testing"

	"metalora/adapters"
	"metalora/models"
	"metalora/models/safetensors"
	"metalora/pipeline/rng"
)

// nanoMethod is a run of a method over tasks of drawn turns, without dropout. Every task owns equal draws, and shared heads and
// adapters are the same draws, so that methods differ by what they do alone.
func nanoMethod(t *testing.T, m Method, lora adapters.LoRA, turns ...int) *Run {
	t.Helper()
	folder := loadModel(t, "testdata/nano-roberta")
	spec := Spec{Architecture: folder.Architecture, Trains: m.Trains, Threads: 1}
	extra := models.FreshHead(folder.Architecture, rng.New(1, "head"))
	if m.Moves().Has(Adapter) {
		spec.Sites = sitesOf(t, folder.Architecture, lora)
		for name, x := range adapters.Init(spec.Sites, rng.New(1, "adapter")) {
			extra[name] = x
		}
	}
	run := &Run{AdamW: DefaultAdamW, Trained: spec.Trained(), Engine: newEngine(t, spec)}
	shared := folder.Tensors.Clone()
	for name, x := range extra.Clone() {
		shared[name] = x
	}
	for i, n := range turns {
		drawn, _, _ := drawnTurns(slices.Repeat([]int{3}, n), 7+i)
		task := Task{Name: taskName(i)}
		for _, turn := range drawn {
			task.Train = append(task.Train, *turn)
		}
		run.Tasks = append(run.Tasks, task)
		if m.PerTask != 0 {
			run.Own = append(run.Own, newSet(t, extra.Clone(), folder.Architecture))
		}
	}
	run.Shared = newSet(t, shared, folder.Architecture)
	if m.Inner != nil {
		inner := spec
		inner.Trains = m.Inner.Moves
		run.Inner = &InnerLoop{Outer: m.Inner.Outer, Engine: newEngine(t, inner), Trained: inner.Trained(), AdamW: DefaultAdamW, Rate: 1e-3}
	}
	run.Plan = m.Plan(turns, 2, 2, 3, func(task, _, _ int) []int { return inOrder(turns)(task, 0) })
	run.Schedule = OverRun(1e-3, 0, len(run.Plan))
	return run
}

func (r *Run) final(t *testing.T) safetensors.Tensors {
	t.Helper()
	if err := r.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := r.Shared.Tensors()
	if r.Own != nil {
		for name, x := range r.Own[0].Tensors() {
			all[name] = x
		}
	}
	return all
}

func equalTensors(a, b safetensors.Tensors) bool {
	for name, x := range a {
		if !slices.Equal(x.Data, b[name].Data) {
			return false
		}
	}
	return len(a) == len(b)
}

var lora2 = adapters.LoRA{Rank: 2, Alpha: 16}

// TestControlsCollapse: with one task, orders and ownership mean nothing, so the methods that differ in them alone agree to
// the last bit; with two tasks each difference shows.
func TestControlsCollapse(t *testing.T) {
	for name, c := range map[string]struct{ a, b Method }{
		"order":                     {SR, SRMixed},
		"heads":                     {SR, SRHeads},
		"order, given heads":        {SRHeads, MetaLastLayer},
		"heads, given the order":    {SRMixed, MetaLastLayer},
		"adapters of their own":     {SRLoRA, MetaLoRA},
		"full fine-tuning is SR on": {SR, Full},
	} {
		t.Run(name, func(t *testing.T) {
			if !equalTensors(nanoMethod(t, c.a, lora2, 5).final(t), nanoMethod(t, c.b, lora2, 5).final(t)) {
				t.Error("with one task they differ")
			}
			if equalTensors(nanoMethod(t, c.a, lora2, 4, 3).final(t), nanoMethod(t, c.b, lora2, 4, 3).final(t)) {
				t.Error("with two tasks they are the same")
			}
		})
	}
}

// TestMethodsMoveWhatTheySay: what a method does not train keeps its bits, and of what it trains something moves.
func TestMethodsMoveWhatTheySay(t *testing.T) {
	for name, m := range map[string]Method{"sr": SR, "sr-mixed": SRMixed, "sr-heads": SRHeads, "sr-lora": SRLoRA, "meta-lora": MetaLoRA,
		"meta-last-layer": MetaLastLayer, "reptile": Reptile, "fomaml": FOMAML, "anil": ANIL, "lora": LoRA, "last-layer": LastLayer, "full": Full} {
		t.Run(name, func(t *testing.T) {
			run := nanoMethod(t, m, lora2, 4)
			before := run.Shared.Tensors().Clone()
			if run.Own != nil {
				for name, x := range run.Own[0].Tensors().Clone() {
					before[name] = x
				}
			}
			moved := Weights(0)
			for name, x := range run.final(t) {
				if !slices.Equal(x.Data, before[name].Data) {
					moved |= groupOf(name)
				}
			}
			if moved != m.Moves() {
				t.Errorf("groups %b moved, want %b", moved, m.Moves())
			}
		})
	}
}

func groupOf(name string) Weights {
	switch {
	case strings.Contains(name, ".lora_"):
		return Adapter
	case strings.HasPrefix(name, "classifier."):
		return Head
	}
	return Base
}

// TestEqualSteps: methods with one loop take the same number of steps over the same turns; so does Reptile's inner loop where
// it is told to take as many steps as a task has batches.
func TestEqualSteps(t *testing.T) {
	turns := []int{5, 4, 1}
	taken := func(m Method, inner int) map[[3]int]int {
		seen := map[[3]int]int{}
		for _, s := range m.Plan(turns, 2, 3, inner, func(task, _, _ int) []int { return inOrder(turns)(task, 0) }) {
			for _, batch := range append([][]int{s.Turns}, s.Inner...) {
				for _, turn := range batch {
					seen[[3]int{s.Epoch, s.Task, turn}]++
				}
			}
		}
		return seen
	}
	want := taken(SR, 0)
	for name, m := range map[string]Method{"sr-mixed": SRMixed, "sr-heads": SRHeads, "sr-lora": SRLoRA, "meta-lora": MetaLoRA, "meta-last-layer": MetaLastLayer, "reptile": Reptile} {
		got := taken(m, 0)
		if len(got) != len(want) {
			t.Errorf("%s: %d turns, want %d", name, len(got), len(want))
		}
		for at, n := range got {
			if n != want[at] {
				t.Errorf("%s: epoch, task, turn %v %d times, want %d", name, at, n, want[at])
			}
		}
	}
}

// TestFOMAMLIsAdaptationThenOneStep: the first step of FOMAML (ANIL) is what LoRA (last-layer) fine-tuning on the support half
// and then one AdamW step of the base along the query half's gradient give, written with a run of its own.
func TestFOMAMLIsAdaptationThenOneStep(t *testing.T) {
	for name, c := range map[string]struct{ meta, inner Method }{"fomaml": {FOMAML, LoRA}, "anil": {ANIL, LastLayer}} {
		t.Run(name, func(t *testing.T) {
			got := nanoMethod(t, c.meta, lora2, 4)
			got.Plan = Plan{{Turns: []int{2, 3}, Inner: [][]int{{0, 1}, {0, 1}, {0, 1}}}}
			want := nanoMethod(t, c.inner, lora2, 4)
			want.Plan = Plan{{Turns: []int{0, 1}}, {Turns: []int{0, 1}}, {Turns: []int{0, 1}}}
			want.Schedule = Schedule{Peak: 1e-3, Total: 1e18} // constant
			want.final(t)
			outer := nanoMethod(t, c.meta, lora2, 4)
			outer.Inner, outer.Own, outer.Plan = nil, want.Own, Plan{{Turns: []int{2, 3}}}
			a, b := got.final(t), outer.final(t)
			for name := range a {
				compareSlices(t, name, b[name].Data, a[name].Data, 0)
			}
		})
	}
}

// TestFOMAMLStartsAnew: a task's adapter and head forget what they learned in its step before.
func TestFOMAMLStartsAnew(t *testing.T) {
	once, twice := nanoMethod(t, FOMAML, lora2, 4), nanoMethod(t, FOMAML, lora2, 4)
	step := Step{Turns: []int{2, 3}, Inner: [][]int{{0, 1}, {0, 1}}}
	once.Plan, twice.Plan = Plan{step}, Plan{step, step}
	once.Schedule, twice.Schedule = Schedule{}, Schedule{} // rate 0: the base stays where it is
	a, b := once.final(t), twice.final(t)
	if !equalTensors(a, b) {
		t.Error("after a second step from the same base they are elsewhere")
	}
}

// TestReptileWithoutDecay: with no decay inside, a weight that no gradient reaches has no displacement, so that the outer AdamW
// only decays it; with it, the outer AdamW turns the decay's trace into steps of about its rate.
func TestReptileWithoutDecay(t *testing.T) {
	const name, unused = "roberta.embeddings.word_embeddings.weight", 999
	largest := func(decay float64) float64 {
		run := nanoMethod(t, Reptile, lora2, 4)
		run.Inner.AdamW.WeightDecay = decay
		width := run.Shared.params[name].Shape[1]
		before := slices.Clone(run.Shared.params[name].Value[unused*width:])
		move := 0.0
		for i, x := range run.final(t)[name].Data[unused*width:] {
			move = math.Max(move, math.Abs(float64(x-before[i])))
		}
		return move
	}
	if with, without := largest(0.01), largest(0); with < 5e-4 || without > 5e-5 {
		t.Errorf("an unused embedding row moved by %.2g with inner decay and %.2g without", with, without)
	}
}

// TestSymmetricGradient: B = Aᵀ, so the gradient of A is that of an ordinary adapter's A plus the transpose of its B's, and the
// scores are the same.
func TestSymmetricGradient(t *testing.T) {
	symmetric := lora2
	symmetric.Symmetric = true
	a, b := nanoMethod(t, LoRA, symmetric, 2), nanoMethod(t, LoRA, lora2, 2)
	sites := sitesOf(t, loadModel(t, "testdata/nano-roberta").Architecture, symmetric)
	for name, x := range adapters.Explicit(sites, a.Own[0].Tensors()) {
		copy(b.Own[0].params[name].Value, x.Data)
	}
	turn := &a.Tasks[0].Train[0]
	la, errA := a.Engine.Accumulate(t.Context(), turn, turn.Rows, nil, a.Sets(0)...)
	lb, errB := b.Engine.Accumulate(t.Context(), turn, turn.Rows, nil, b.Sets(0)...)
	if errA != nil || errB != nil || math.Abs(la-lb) > 1e-6 {
		t.Fatalf("losses %v and %v (%v, %v)", la, lb, errA, errB)
	}
	square := 0
	for _, s := range sites {
		if !s.Symmetric {
			continue
		}
		square++
		own, ga, gb := a.Own[0].params[s.A()].grad, b.Own[0].params[s.A()].grad, b.Own[0].params[s.B()].grad
		want := make([]float32, len(own))
		for r := range s.Rank {
			for i := range s.In {
				want[r*s.In+i] = ga[r*s.In+i] + gb[i*s.Rank+r]
			}
		}
		compareSlices(t, s.A(), want, own, 1e-6)
		if slices.Max(want) < 1e-5 {
			t.Errorf("%s: the gradient is nearly zero, which compares nothing", s.A())
		}
	}
	if square != 8 { // query, key, value and attention output of two layers
		t.Errorf("%d symmetric sites, want 8", square)
	}
}
