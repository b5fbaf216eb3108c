package pipeline

import (
	"fmt"

	"metalora/models/safetensors"
	"metalora/onnx/ort"
	"metalora/pipeline/machine"
	"metalora/pipeline/train"
)

// processBytes is a process that has loaded the engine and read settings and dialogues: 42 MiB were measured after loading
// it, 50 to 70 between two units.
const processBytes = 58 << 20

// footprint is what decides how much memory a training takes.
type footprint struct {
	spec    train.Spec // of the outer loop
	method  train.Method
	owners  int           // tasks, each with its own of the weights in method.PerTask
	trained []train.Shape // the largest turns that are trained on
	scored  []train.Shape // and scored
	kept    bool          // the weights of the best epoch are kept beside those that move
	spare   bool          // the base is kept as it was beside one that moves
	data    int64         // dialogues and what became of them
}

// bytes is the most memory that the process takes, as far as it can be told beforehand.
func (f footprint) bytes() (int64, error) {
	total, err := f.engines()
	if err != nil {
		return 0, err
	}
	total.Slices += f.weights() + f.data
	return processBytes + total.Engine + int64(float64(total.Slices)*(1+train.GarbagePercent/2/100.0)), nil
}

// engines are those that train and the one that scores.
func (f footprint) engines() (train.Memory, error) {
	total, err := scoring(f.spec).Memory(f.scored, 0, 0)
	if err != nil || f.spec.Trains == 0 {
		return total, err
	}
	add := func(s train.Spec) error {
		m, err := s.Memory(f.trained, f.method.PerTask, f.owners)
		total = total.Add(m)
		return err
	}
	if err := add(f.spec); err != nil {
		return total, err
	}
	inner := f.method.Inner
	if inner == nil || inner.Moves == f.method.Trains {
		return total, nil
	}
	s := f.spec
	s.Trains = inner.Moves
	return total, add(s)
}

// weights are the base's, the tasks' own, and the copies of them.
func (f footprint) weights() int64 {
	of := func(groups train.Weights) int64 {
		total := int64(0)
		for _, g := range []train.Weights{train.Base, train.Adapter, train.Head} {
			if !groups.Has(g) {
				continue
			}
			bytes := f.spec.WeightBytes(g)
			if f.method.PerTask.Has(g) {
				bytes *= int64(f.owners)
			}
			total += bytes
		}
		return total
	}
	everything := train.Base | train.Adapter | train.Head
	total := of(everything)
	if f.kept {
		total += of(everything)
	}
	if f.spare {
		total += of(train.Base)
	}
	if inner := f.method.Inner; inner != nil && inner.Outer == train.Displacement {
		total += 3 * of(inner.Moves) // where the inner loop began, and moments of its own
	} else if inner != nil {
		total += of(inner.Moves) // where it begins each time
	}
	return total
}

// scoring is a spec's without gradients and dropout.
func scoring(s train.Spec) train.Spec {
	s.Trains, s.LoRADropout = 0, 0
	s.Dropout.Hidden, s.Dropout.Attention, s.Dropout.Head = 0, 0, 0
	return s
}

// footprint is a training's, now that its data is there.
func (s *settings) footprint() footprint {
	f := footprint{spec: s.spec, method: s.method, owners: max(1, len(s.own)), kept: s.keeps, spare: s.spares}
	var trained, scored []train.Turn
	for _, task := range s.tasks {
		trained, scored = append(trained, task.Train...), append(scored, task.HeldOut...)
		for _, turns := range [][]train.Turn{task.Train, task.HeldOut} {
			for i := range turns {
				f.data += 8 * int64(len(turns[i].IDs)+len(turns[i].Mask)+len(turns[i].Types))
			}
		}
	}
	f.trained, f.scored = train.Largest(trained), train.Largest(scored)
	return f
}

// Memory policies: what becomes of a training that the machine has too little memory for.
const (
	MemoryRefuse = "refuse"
	MemoryWarn   = "warn"
)

// checkMemory holds what a training will take against what the process can have. What it has already counts for both. A GPU's
// memory is not known here: there the engine has the last word.
func (s *settings) checkMemory(p Progress) error {
	if s.spec.Device == ort.CUDA {
		return nil
	}
	need, err := s.footprint().bytes()
	if err != nil {
		return err
	}
	here := machine.Now()
	have := here.Available + machine.Resident()
	if here.Available == 0 || need <= have {
		return nil
	}
	short := memoryShort(need, have, here.Group)
	if s.memory == MemoryWarn {
		p.Note(short + "; going on, as memory: warn says")
		return nil
	}
	return fmt.Errorf("%s: end other programs, raise the limit, train fewer weights or shorter pairs (data.max_length), or try all the same (--set memory=%s)", short, MemoryWarn)
}

func memoryShort(need, have int64, group string) string {
	of := "the machine has"
	if group != "" {
		of = "the control group " + group + " allows"
	}
	return fmt.Sprintf("memory short: this takes about %.1f GiB and %s %.1f GiB", gibibytes(need), of, gibibytes(have))
}

func gibibytes(n int64) float64 { return float64(n) / (1 << 30) }

// snapshotInto copies sets of tensors into copies of them that were made before; nil makes new ones.
func snapshotInto(copies, sets []safetensors.Tensors) []safetensors.Tensors {
	if copies == nil {
		return snapshot(sets)
	}
	for i, set := range sets {
		for name, t := range set {
			copy(copies[i][name].Data, t.Data)
		}
	}
	return copies
}
