package convai2

import "metalora/pipeline/rng"

// setAside is the part of the dialogues outside all tasks whose replies are kept for held-out turns.
const setAside = 0.2

// source is a reply that may be drawn, and the dialogue that said it.
type source struct {
	text     string
	dialogue int
}

// pools are the replies that training turns and held-out turns may draw. No text is in both.
type pools struct {
	training, heldOut []source
	persona           []int // of every dialogue: its cluster, or a number of its own below 0
}

// newPools sorts the replies of a file: under Redraw those of the tasks' dialogues alone.
func newPools(ds []*Dialogue, c *Clustering, tasks []Task, w *drawer) pools {
	p := pools{persona: personas(ds, c)}
	const outside, training, heldOut = 0, 1, 2
	role := make([]int, len(ds))
	for _, t := range tasks {
		for _, i := range t.TrainDialogues {
			role[i] = training
		}
		for _, i := range t.HeldOutDialogues {
			role[i] = heldOut
		}
	}
	trained := map[string]bool{}
	var kept []source
	for i, d := range ds {
		if role[i] == outside && w.mode == Redraw {
			continue
		}
		aside := role[i] == heldOut ||
			role[i] == outside && rng.New(w.Distractors.Seed, "set aside", w.Name, i).Float64() < setAside
		for _, t := range d.Turns {
			switch {
			case aside && !w.Distractors.Forbidden[t.Self]:
				kept = append(kept, source{t.Self, i})
			case !aside && !w.heldOut[t.Self]:
				p.training = append(p.training, source{t.Self, i})
				trained[t.Self] = true
			}
		}
	}
	for _, r := range kept {
		if !trained[r.text] {
			p.heldOut = append(p.heldOut, r)
		}
	}
	return p
}

func personas(ds []*Dialogue, c *Clustering) []int {
	persona := make([]int, len(ds))
	for i := range persona {
		persona[i] = -1 - i
	}
	for _, k := range c.Ranked {
		for _, i := range k.Dialogues {
			persona[i] = k.Cluster
		}
	}
	return persona
}

// pick offers random entries of a pool to take until it has taken count. It draws blindly first, which is quick in a
// large pool, and then goes through a permutation, which finds the last ones of a small pool.
func pick(pool []source, count int, stream *rng.Stream, take func(source) bool) {
	if len(pool) == 0 {
		return
	}
	for tries := 4 * count; tries > 0 && count > 0; tries-- {
		if take(pool[stream.IntN(len(pool))]) {
			count--
		}
	}
	if count <= 0 {
		return
	}
	for _, i := range stream.Perm(len(pool)) {
		if take(pool[i]) {
			if count--; count == 0 {
				return
			}
		}
	}
}
