package convai2

import (
	"errors"
	"fmt"
	"slices"
)

// Task is one persona's samples, its last dialogues held out.
type Task struct {
	Name             string // TaskOptions.Name and the rank, e.g. "test-3"
	File             string
	Cluster, Rank    int
	Personas         [][]string // the distinct sets of normalised persona sentences among its dialogues, sorted
	TrainDialogues   []int
	HeldOutDialogues []int
	Train, HeldOut   []Sample
	Drawn            int // samples whose candidates were drawn, not given
	Repaired         int // given distractors that were replaced
}

// TaskOptions say which tasks to make and how.
type TaskOptions struct {
	Name      string // what the tasks are for; part of their names and of the streams that draw their distractors
	File      string // where the dialogues come from; tasks of one File are known to share dialogue indices
	Ranks     []int  // from 1
	HeldOut   int    // dialogues held out of each task where Folds is 0 or 1
	Separator string // between the utterances of a context; published: none

	// Folds > 1 cuts each task's dialogues into that many runs of nearly equal length, in the order of the clustering.
	// Fold f holds the f-th out, counted from 0 at the end, so that over all folds every dialogue is held out once.
	Fold, Folds int

	Distractors Distractors
}

// Tasks makes the tasks of the named ranks from the dialogues that c was made from. A rank that does not exist or has
// nothing to train on is an error.
func Tasks(ds []*Dialogue, c *Clustering, o TaskOptions) ([]Task, error) {
	tasks, err := makeTasks(ds, c, o)
	if err == nil {
		err = fillCandidates(ds, c, o, tasks)
	}
	if err != nil {
		return nil, fmt.Errorf("making tasks of %s: %w", o.File, err)
	}
	return tasks, nil
}

func makeTasks(ds []*Dialogue, c *Clustering, o TaskOptions) ([]Task, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	tasks := make([]Task, len(o.Ranks))
	for i, rank := range o.Ranks {
		if rank < 1 || rank > len(c.Ranked) {
			return nil, fmt.Errorf("rank %d: there are ranks 1 to %d", rank, len(c.Ranked))
		}
		if slices.Contains(o.Ranks[:i], rank) {
			return nil, fmt.Errorf("rank %d is named twice", rank)
		}
		task, err := makeTask(ds, c.Ranked[rank-1], o)
		if err != nil {
			return nil, fmt.Errorf("rank %d (cluster %d): %w", rank, c.Ranked[rank-1].Cluster, err)
		}
		tasks[i] = task
	}
	return tasks, nil
}

func (o TaskOptions) check() error {
	switch {
	case len(o.Ranks) == 0:
		return errors.New("no rank is named")
	case o.HeldOut < 0 || o.Folds < 0:
		return errors.New("dialogues held out or folds: fewer than 0")
	case o.Fold < 0 || o.Fold >= max(o.Folds, 1):
		return fmt.Errorf("fold %d of %d: folds count from 0", o.Fold, max(o.Folds, 1))
	}
	return o.Distractors.check()
}

// makeTask splits a cluster and makes its samples, those without given candidates still empty.
func makeTask(ds []*Dialogue, k Cluster, o TaskOptions) (Task, error) {
	t := Task{Name: fmt.Sprintf("%s-%d", o.Name, k.Rank), File: o.File, Cluster: k.Cluster, Rank: k.Rank}
	var err error
	if t.TrainDialogues, t.HeldOutDialogues, err = o.split(k.Dialogues); err != nil {
		return t, err
	}
	if t.Train, err = samplesOf(ds, t.TrainDialogues, o.Separator); err != nil {
		return t, err
	}
	if t.HeldOut, err = samplesOf(ds, t.HeldOutDialogues, o.Separator); err != nil {
		return t, err
	}
	for _, i := range k.Dialogues {
		t.Personas = append(t.Personas, sentenceSet(ds[i].Persona, Normalise))
	}
	slices.SortFunc(t.Personas, slices.Compare)
	t.Personas = slices.CompactFunc(t.Personas, slices.Equal)
	return t, nil
}

// split divides a cluster's dialogues into those to train on and those held out.
func (o TaskOptions) split(order []int) (train, heldOut []int, err error) {
	n := len(order)
	from, to := n-o.HeldOut, n
	if o.Folds > 1 {
		from, to = n-(o.Fold+1)*n/o.Folds, n-o.Fold*n/o.Folds
		if n < o.Folds {
			return nil, nil, fmt.Errorf("%d dialogues are too few for %d folds", n, o.Folds)
		}
	} else if from <= 0 {
		return nil, nil, fmt.Errorf("nothing left to train on: %d dialogues, %d held out", n, o.HeldOut)
	}
	train = slices.Concat(order[:from], order[to:])
	return train, slices.Clone(order[from:to]), nil
}

func samplesOf(ds []*Dialogue, indices []int, separator string) ([]Sample, error) {
	var all []Sample
	for _, i := range indices {
		samples, err := skeletons(ds[i], separator)
		if err != nil {
			return nil, err
		}
		for j := range samples {
			samples[j].Dialogue = i
		}
		all = append(all, samples...)
	}
	return all, nil
}

// HeldOutReplies is the set of real replies in the held-out turns of the tasks.
func HeldOutReplies(tasks []Task) map[string]bool {
	replies := map[string]bool{}
	for _, t := range tasks {
		for _, s := range t.HeldOut {
			replies[s.reply()] = true
		}
	}
	return replies
}

// String names the task and its sizes, for logs.
func (t Task) String() string {
	return fmt.Sprintf("%s: cluster %d, %d + %d dialogues, %d + %d turns", t.Name, t.Cluster,
		len(t.TrainDialogues), len(t.HeldOutDialogues), len(t.Train), len(t.HeldOut))
}
