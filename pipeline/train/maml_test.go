package train

import (
	"path/filepath"
	"testing"

	"metalora/tokenize"
)

// mamlRun is a run of FOMAML or ANIL as PyTorch walked it (testdata/maml/make.py).
type mamlRun struct {
	trajectory
	Orders [][][]int `json:"orders"` // of a task's turns, by epoch
}

// TestMAMLTrajectories follows PyTorch step by step, as [TestTrajectories] does: each inner step's loss and norm, the outer
// loss and norm on the query half at the adapted point, and at the end the base and what each task last adapted to.
func TestMAMLTrajectories(t *testing.T) {
	for name, method := range map[string]Method{"fomaml": FOMAML, "anil": ANIL} {
		t.Run(name, func(t *testing.T) {
			var want mamlRun
			readJSON(t, filepath.Join("testdata", "maml", name+".json"), &want)
			golden := openFixture(t, filepath.Join("testdata", "maml", name+".safetensors"))
			run := newMAML(t, method, want, golden)
			follow(t, run, want.trajectory, 1)
			compareFinal(t, run, golden, 1e-4)
		})
	}
}

func newMAML(t *testing.T, method Method, want mamlRun, golden fixture) *Run {
	folder := loadModel(t, "testdata/nano-roberta")
	spec := Spec{Architecture: folder.Architecture, Trains: method.Trains, Threads: 1}
	if method.Moves().Has(Adapter) {
		spec.Sites = lora4(t, folder.Architecture)
	}
	inner := spec
	inner.Trains = method.Inner.Moves
	adamW := DefaultAdamW
	adamW.Epsilon = want.Hyper.Epsilon
	run := &Run{AdamW: adamW, Engine: newEngine(t, spec), Trained: spec.Trained(), Tasks: mamlTasks(golden),
		Shared: newSet(t, folder.Tensors, folder.Architecture)}
	run.Inner = &InnerLoop{Outer: method.Inner.Outer, Engine: newEngine(t, inner), Trained: inner.Trained(), AdamW: adamW, Rate: want.Hyper.InnerLR}
	counts := turnCounts(run.Tasks)
	for range run.Tasks {
		run.Own = append(run.Own, newSet(t, golden.tensors("start."), folder.Architecture))
	}
	run.Plan = method.Plan(counts, want.Hyper.Batch, want.Hyper.Epochs, want.Hyper.Inner,
		func(task, epoch, _ int) []int { return want.Orders[task][epoch] })
	run.Schedule = PublishedRetraining(want.Hyper.LR, 0.1, want.Hyper.Schedule, Batches(counts[0], want.Hyper.Batch), want.Hyper.Epochs)
	return run
}

func mamlTasks(golden fixture) []Task {
	var tasks []Task
	for i, prefix := range []string{"turns.0.", "turns.1.", "turns.2."} {
		shape, ids, gold := golden.shape(prefix+"input_ids"), golden.ints(prefix+"input_ids"), golden.ints(prefix+"gold")
		task := Task{Name: taskName(i)}
		for k, size := 0, shape[1]*shape[2]; k < shape[0]; k++ {
			b := tokenize.Batch{IDs: ids[k*size : (k+1)*size], Rows: shape[1], Length: shape[2]}
			for _, id := range b.IDs {
				b.Mask = append(b.Mask, map[bool]int64{true: 1}[id != 1])
			}
			task.Train = append(task.Train, Turn{Batch: b, Gold: int(gold[k])})
		}
		tasks = append(tasks, task)
	}
	return tasks
}
