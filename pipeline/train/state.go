package train

import (
	"fmt"
	"maps"
	"slices"

	"metalora/models/safetensors"
)

// State is what the steps of a run have changed. Orders and dropout masks come from streams that a step's number and names
// open anew, so a run that was made from the same settings needs nothing else to go on as if it had never stopped.
type State struct {
	Done  int `json:"done"`  // steps of the plan that lie behind
	Ended int `json:"ended"` // epochs whose end has been dealt with: [Run.AfterEpoch]
	// Steps are AdamW's own counts, by the weight's place: "shared/NAME", or "0/NAME" for what task 0 owns.
	Steps map[string]int `json:"steps"`
	// Tensors are "weight/PLACE", and "m/PLACE" and "v/PLACE" where AdamW has moved the weight. They share the run's memory.
	Tensors safetensors.Tensors `json:"-"`
}

// State returns the run's state between two steps, without a copy. It also is the one after a step that was broken off by
// its context: such a step leaves gradients behind, which no state holds, and an inner loop puts back what it moved or
// starts from where it began each time.
func (r *Run) State() State {
	s := State{Done: r.Done, Ended: r.Ended, Steps: map[string]int{}, Tensors: safetensors.Tensors{}}
	for place, p := range r.moving() {
		tensor := func(data []float32) safetensors.Tensor { return safetensors.Tensor{Shape: p.Shape, Data: data} }
		s.Tensors["weight/"+place] = tensor(p.Value)
		if p.m != nil {
			s.Steps[place] = p.steps
			s.Tensors["m/"+place], s.Tensors["v/"+place] = tensor(p.m), tensor(p.v)
		}
	}
	return s
}

// ShapesOf are those of the tensors that a state with these counts has: each weight's and, where AdamW has moved it, its moments'.
func (r *Run) ShapesOf(s State) map[string][]int {
	shapes := map[string][]int{}
	for place, p := range r.moving() {
		shapes["weight/"+place] = p.Shape
		if _, moved := s.Steps[place]; moved {
			shapes["m/"+place], shapes["v/"+place] = p.Shape, p.Shape
		}
	}
	return shapes
}

// CheckProgress is the error that the run's steps lead to no state with these counts.
func (r *Run) CheckProgress(s State) error {
	if s.Done < 0 || s.Done > len(r.Plan) {
		return fmt.Errorf("%d steps of %d lie behind", s.Done, len(r.Plan))
	}
	first, last := 0, 0 // how many epochs have ended where the end of the last one has not been dealt with, and where it has
	if s.Done > 0 {
		first = r.Plan[s.Done-1].Epoch
		last = first + 1
		if s.Done < len(r.Plan) && r.Plan[s.Done].Epoch == first {
			last = first
		}
	}
	if s.Ended != first && s.Ended != last {
		return fmt.Errorf("%d epochs lie behind after %d steps", s.Ended, s.Done)
	}
	most := s.Done
	for _, step := range r.Plan {
		most = max(most, len(step.Inner)) // an inner loop counts anew each time
	}
	moving := r.moving()
	for _, place := range slices.Sorted(maps.Keys(s.Steps)) {
		if n := s.Steps[place]; moving[place] == nil || n < 1 || n > most {
			return fmt.Errorf("%d steps of the optimiser for %.100q, and no weight of the run had more than %d", n, place, most)
		}
	}
	return nil
}

// StepsOfEpoch is how many steps of the epoch under way lie behind.
func (r *Run) StepsOfEpoch(s State) int {
	n := 0
	for _, step := range r.Plan[:s.Done] {
		if step.Epoch >= s.Ended {
			n++
		}
	}
	return n
}

// Restore takes a state up. The run must be new and made from the settings that the state's run was made from; what does
// not fit is an error that names the tensor.
func (r *Run) Restore(s State) error {
	if err := r.CheckProgress(s); err != nil {
		return fmt.Errorf("taking a state up: %w", err)
	}
	moving, used := r.moving(), 0
	if r.Inner != nil && r.Inner.Outer == Query {
		r.rememberStarts()
	}
	for place, p := range moving {
		n, err := p.restore(place, s)
		if err != nil {
			return fmt.Errorf("taking a state up: %w", err)
		}
		used += n
	}
	if used != len(s.Tensors) {
		return fmt.Errorf("taking a state up: it has %d tensors, the run takes %d", len(s.Tensors), used)
	}
	r.Done, r.Ended = s.Done, s.Ended
	return nil
}

// restore copies a weight and its moments and says how many tensors those were. Moments may have overflowed where the weights have not.
func (p *Param) restore(place string, s State) (int, error) {
	get := func(kind string, can func(x float32) bool) ([]float32, error) {
		t, ok := s.Tensors[kind+"/"+place]
		if !ok || !slices.Equal(t.Shape, p.Shape) || len(t.Data) != len(p.Value) {
			return nil, fmt.Errorf("tensor %q: shape %v, want %v", kind+"/"+place, t.Shape, p.Shape)
		}
		for i, x := range t.Data {
			if !can(x) {
				return nil, fmt.Errorf("tensor %q: element %d is %g, which no step leaves", kind+"/"+place, i, x)
			}
		}
		return t.Data, nil
	}
	whatever := func(float32) bool { return true }
	value, err := get("weight", func(x float32) bool { return !notFinite(float64(x)) })
	if err != nil {
		return 0, err
	}
	copy(p.Value, value)
	steps, moved := s.Steps[place]
	if !moved {
		return 1, nil
	}
	m, err := get("m", whatever)
	if err != nil {
		return 0, err
	}
	v, err := get("v", func(x float32) bool { return !(x < 0) })
	if err != nil {
		return 0, err
	}
	p.m, p.v, p.steps = slices.Clone(m), slices.Clone(v), steps
	return 3, nil
}

// rememberStarts keeps where every task's inner loop begins before anything else is copied there.
func (r *Run) rememberStarts() {
	for i := range r.Tasks {
		r.Inner.remember(r.params(r.Inner.Trained, r.Sets(i)))
	}
}

// moving are the weights that steps move, by their places.
func (r *Run) moving() map[string]*Param {
	names := slices.Clone(r.Trained)
	if r.Inner != nil {
		names = append(names, r.Inner.Trained...)
	}
	all := map[string]*Param{}
	for _, name := range names {
		if p := r.Shared.params[name]; p != nil {
			all["shared/"+name] = p
		}
		for i, own := range r.Own {
			if p := own.params[name]; p != nil {
				all[fmt.Sprint(i, "/", name)] = p
			}
		}
	}
	return all
}
