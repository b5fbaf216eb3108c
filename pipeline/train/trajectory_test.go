package train

import (
	"math"
	"slices"
	"strings"
	"testing"

	"metalora/models/safetensors"
	"metalora/tokenize"
)

// trajectory is a training run as PyTorch walked it.
type trajectory struct {
	Hyper struct {
		LR       float64 `json:"lr"`
		OuterLR  float64 `json:"outer_lr"`
		Inner    int     `json:"inner_steps"`
		Epochs   int     `json:"epochs"`
		Schedule float64 `json:"schedule"`
		InnerLR  float64 `json:"inner_lr"`
		Batch    int     `json:"batch"`
		Epsilon  float64 `json:"eps"`
	} `json:"hyper"`
	From  string `json:"from"`
	Steps []struct {
		Epoch, Task int
		Turns       []int
		LR          float64
		Loss        float64
		GradNorm    float64 `json:"grad_norm"`
		Inner       []struct {
			Turns    []int
			Loss     float64
			GradNorm float64 `json:"grad_norm"`
		}
	} `json:"steps"`
}

// TestTrajectories follows PyTorch's runs step by step: rates exactly, losses within 1e-5, gradient norms within a
// ten-thousandth, final weights within 1e-4 except key biases, whose gradient is rounding noise. Reptile, whose outer AdamW
// normalises tiny differences, is held to ten times that in its weights and outer norms.
func TestTrajectories(t *testing.T) {
	for name, c := range map[string]struct {
		method   Method
		adapting bool
	}{
		"sr":              {method: SR},
		"sr-decayed":      {method: SR},
		"meta-lora":       {method: MetaLoRA},
		"meta-last-layer": {method: MetaLastLayer},
		"reptile":         {method: Reptile},
		"sr-lora":         {method: LoRA, adapting: true},
		"meta-lora-lora":  {method: LoRA, adapting: true},
		"sr-last-layer":   {method: LastLayer, adapting: true},
	} {
		t.Run(name, func(t *testing.T) {
			var want trajectory
			readJSON(t, reference(t, "trajectories", name+".json"), &want)
			golden := openFixture(t, reference(t, "trajectories", name+".safetensors"))
			run := newTrajectory(t, want, c.method, c.adapting)
			follow(t, run, want, slack(c.method))
			compareFinal(t, run, golden, slack(c.method)*1e-4)
			compareHeldOut(t, run, golden, c.method)
		})
	}
}

// slack is what the tolerances are multiplied by.
func slack(m Method) float64 {
	if m.Inner != nil {
		return 10
	}
	return 1
}

func newTrajectory(t *testing.T, want trajectory, method Method, adapting bool) *Run {
	folder := loadModel(t, reference(t, "tiny-roberta"))
	initial := openFixture(t, reference(t, "trajectories", "initial.safetensors"))
	run := &Run{AdamW: DefaultAdamW, Tasks: fixtureTasks(t)[:3]}
	prefixes := []string{"tasks.0.", "tasks.1.", "tasks.2."}
	if adapting {
		run.Tasks, prefixes = fixtureTasks(t)[3:], []string{"fresh."}
		overlay(folder.Tensors, openFixture(t, reference(t, "trajectories", want.From+".safetensors")))
	}
	spec := Spec{Architecture: folder.Architecture, Trains: method.Trains}
	if method.Trains.Has(Adapter) {
		spec.Sites = lora4(t, folder.Architecture)
	}
	if method.PerTask != 0 {
		for _, prefix := range prefixes {
			run.Own = append(run.Own, newSet(t, owned(initial.tensors(prefix), method), folder.Architecture))
		}
	}
	run.Engine, run.Shared, run.Trained = newEngine(t, spec), newSet(t, folder.Tensors, folder.Architecture), spec.Trained()
	batches := Batches(len(run.Tasks[0].Train), 2)
	run.Schedule = PublishedRetraining(want.Hyper.LR, 0.1, want.Hyper.Schedule, batches, want.Hyper.Epochs)
	if adapting {
		run.Schedule = PublishedAdaptation(want.Hyper.LR, 0.1, want.Hyper.Schedule, batches, want.Hyper.Epochs)
	}
	if method.Inner != nil {
		run.Inner = &InnerLoop{Outer: method.Inner.Outer, Engine: run.Engine, Trained: run.Trained, AdamW: DefaultAdamW, Rate: want.Hyper.LR}
		run.Schedule = PublishedRetraining(want.Hyper.OuterLR, 0.1, want.Hyper.Schedule, len(run.Tasks), want.Hyper.Epochs)
	}
	counts := turnCounts(run.Tasks)
	run.Plan = method.Plan(counts, 2, want.Hyper.Epochs, want.Hyper.Inner, func(task, epoch, pass int) []int {
		order := want.shuffled(task, epoch)
		return order[pass*counts[task] : min((pass+1)*counts[task], len(order))]
	})
	return run
}

// shuffled gives the order in which the reference drew a task's turns in an epoch, one pass after another.
func (w trajectory) shuffled(task, epoch int) []int {
	var order []int
	for _, s := range w.Steps {
		if s.Task != task || s.Epoch != epoch {
			continue
		}
		order = append(order, s.Turns...)
		for _, inner := range s.Inner {
			order = append(order, inner.Turns...)
		}
	}
	return order
}

func turnCounts(tasks []Task) []int {
	counts := make([]int, len(tasks))
	for i := range tasks {
		counts[i] = len(tasks[i].Train)
	}
	return counts
}

// overlay writes a run's final weights over a model's. Embedding rows it does not hold are used by no turn.
func overlay(base safetensors.Tensors, final fixture) {
	for name, tensor := range base {
		if strings.HasPrefix(name, "classifier.") {
			continue
		}
		if final.has(name) {
			copy(tensor.Data, final.floats(name))
		} else {
			spread(tensor.Data, tensor.Shape[1], final.ints(name+".indices"), final.floats(name+".rows"))
		}
	}
}

// owned keeps of a task's initial weights those the method has: with no adapter, the head alone.
func owned(tensors safetensors.Tensors, method Method) safetensors.Tensors {
	kept := safetensors.Tensors{}
	for name, tensor := range tensors {
		if method.Trains.Has(Adapter) || strings.HasPrefix(name, "classifier.") {
			kept[name] = tensor
		}
	}
	return kept
}

// fixtureTasks reads the reference's tasks; the last turn of each is held out.
func fixtureTasks(t *testing.T) []Task {
	data := openFixture(t, reference(t, "trajectories", "data.safetensors"))
	var tasks []Task
	for i, prefix := range []string{"0.", "1.", "2.", "3."} {
		shape := data.shape(prefix + "input_ids")
		ids, mask, gold := data.ints(prefix+"input_ids"), data.ints(prefix+"attention_mask"), data.ints(prefix+"gold")
		size := shape[1] * shape[2]
		var turns []Turn
		for k := range shape[0] {
			batch := tokenize.Batch{IDs: ids[k*size : (k+1)*size], Mask: mask[k*size : (k+1)*size], Rows: shape[1], Length: shape[2]}
			turns = append(turns, Turn{Batch: batch, Gold: int(gold[k])})
		}
		last := len(turns) - 1
		tasks = append(tasks, Task{Name: taskName(i), Train: turns[:last], HeldOut: turns[last:]})
	}
	return tasks
}

func follow(t *testing.T, run *Run, want trajectory, slack float64) {
	t.Helper()
	if len(run.Plan) != len(want.Steps) {
		t.Fatalf("%d steps, want %d", len(run.Plan), len(want.Steps))
	}
	run.AfterStep = func(got Result) error {
		w := want.Steps[got.Step]
		if got.Task != w.Task || got.Epoch != w.Epoch {
			t.Errorf("step %d: task %d of epoch %d, want %d of %d", got.Step, got.Task, got.Epoch, w.Task, w.Epoch)
		}
		if got.Rate != w.LR {
			t.Errorf("step %d: rate %v, want %v", got.Step, got.Rate, w.LR)
		}
		if (len(w.Inner) == 0 || len(w.Turns) > 0) && math.Abs(got.Loss-w.Loss) > 1e-5 {
			t.Errorf("step %d: loss %v, want %v", got.Step, got.Loss, w.Loss)
		}
		if len(got.Inner) != len(w.Inner) {
			t.Fatalf("step %d: %d inner steps, want %d", got.Step, len(got.Inner), len(w.Inner))
		}
		for k, in := range w.Inner {
			if g := got.Inner[k]; math.Abs(g.Loss-in.Loss) > 1e-5 || math.Abs(g.GradNorm-in.GradNorm) > 1e-4*in.GradNorm {
				t.Errorf("step %d, inner %d: loss %v, norm %v, want %v, %v", got.Step, k, g.Loss, g.GradNorm, in.Loss, in.GradNorm)
			}
		}
		if math.Abs(got.GradNorm-w.GradNorm) > slack*1e-4*w.GradNorm {
			t.Errorf("step %d: gradient norm %v, want %v", got.Step, got.GradNorm, w.GradNorm)
		}
		return nil
	}
	if err := run.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// compareFinal walks the golden's tensors, so that none of them goes unlooked at.
func compareFinal(t *testing.T, run *Run, golden fixture, tolerance float64) {
	t.Helper()
	compared := 0
	for _, info := range golden.Infos() {
		name := strings.TrimSuffix(info.Name, ".rows")
		kind, _, _ := strings.Cut(name, ".")
		input := slices.Contains([]string{"held_out_logits", "start", "turns"}, kind)
		if input || strings.HasSuffix(name, ".indices") || strings.HasSuffix(name, "key.bias") {
			continue
		}
		p := locate(run, name)
		if p == nil {
			t.Errorf("%s is no weight here", name)
			continue
		}
		got := p.Value
		if name != info.Name {
			got = gather(p, golden.ints(name+".indices"))
		}
		compareSlices(t, name, golden.floats(info.Name), got, tolerance)
		compared++
	}
	if compared < 4 {
		t.Errorf("only %d weights compared", compared)
	}
}

// locate finds a weight under the reference's name: tasks.T. before a task's own.
func locate(run *Run, name string) *Param {
	if rest, ok := strings.CutPrefix(name, "tasks."); ok {
		number, own, _ := strings.Cut(rest, ".")
		return find([]*Set{run.Own[number[0]-'0']}, own)
	}
	return find([]*Set{run.Shared}, name)
}

func gather(p *Param, ids []int64) []float32 {
	var rows []float32
	for _, id := range ids {
		rows = append(rows, p.Value[int(id)*p.Shape[1]:(int(id)+1)*p.Shape[1]]...)
	}
	return rows
}

func compareHeldOut(t *testing.T, run *Run, golden fixture, method Method) {
	t.Helper()
	cfg := loadModel(t, reference(t, "tiny-roberta")).Architecture
	spec := Spec{Architecture: cfg}
	if method.Trains.Has(Adapter) {
		spec.Sites = lora4(t, cfg)
	}
	scorer := newEngine(t, spec)
	for i, task := range run.Tasks {
		logits, err := scorer.Logits(t.Context(), task.HeldOut[0].Batch, run.Sets(i)...)
		if err != nil {
			t.Fatal(err)
		}
		compareSlices(t, "held-out logits of "+task.Name, golden.floats("held_out_logits."+string(rune('0'+i))), logits, 1e-3)
	}
}
