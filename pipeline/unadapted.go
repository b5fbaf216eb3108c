package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"metalora/adapters"
	"metalora/eval"
	"metalora/models"
	"metalora/models/safetensors"
	"metalora/pipeline/confined"
	"metalora/pipeline/fault"
	"metalora/pipeline/rng"
	"metalora/pipeline/train"
)

// voter is one way in which a retrained base can score without having been adapted: a head of the retraining, and the
// adapter it came with.
type voter struct {
	sites   []adapters.Site
	weights safetensors.Tensors // the head's and the adapter's
}

// score is what a base does before any adaptation. A method with one head scores with it. One with a head for each task
// scores with all of them: the mean of logit[1] over the retraining tasks' heads and adapters. Without retraining there is
// no head, and a fresh one guesses.
func (e *executor) score(ctx context.Context, u *Unit, base *models.Folder, discarded string, task train.Task, result *Result, dir string) error {
	voters, err := voters(base, discarded)
	if err != nil {
		return err
	}
	if len(voters) == 0 {
		result.Notes = []string{"none with none is chance: a fresh head on a base that no dialogue was seen by."}
		voters = []voter{{weights: freshHead(base, rng.New(uint64(u.Seed), "adapt", "none", task.Name, "head"))}}
	}
	votes, err := e.ask(ctx, voters, base, task)
	if err != nil {
		return err
	}
	result.HeldOutTurns, result.Turns = len(task.HeldOut), meanScores(votes)
	epoch := eval.Epoch{HeldOut: eval.Measure(result.Turns)}
	result.Epochs = []eval.Epoch{epoch}
	m, err := newMetrics(dir)
	if err != nil {
		return err
	}
	return errors.Join(m.add(epoch), m.close())
}

// voters reads what a retraining threw away: one head, or a folder for each task.
func voters(base *models.Folder, discarded string) ([]voter, error) {
	const head = "head.safetensors"
	if err := confined.NoLink(discarded); err != nil {
		return nil, fault.Input(fmt.Errorf("reading the retraining's heads: %w", err))
	}
	entries, err := os.ReadDir(discarded)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the retraining's heads: %w", err)
	}
	var all []voter
	for _, entry := range entries {
		path := filepath.Join(discarded, entry.Name())
		v := voter{}
		switch {
		case entry.Type()&fs.ModeSymlink != 0:
			err = fmt.Errorf("%s: it is a link, which is not followed", path)
		case entry.Name() == head:
			v.weights, err = loadIn(discarded, head)
		case exists(filepath.Join(path, head)):
			v.weights, err = loadIn(path, head)
		default:
			var a *adapters.Adapter
			if a, v.sites, err = loadAdapter(path, base.Architecture); err == nil {
				v.weights = a.Tensors
			}
		}
		if err != nil {
			return nil, fault.Input(fmt.Errorf("reading the retraining's heads: %w", err))
		}
		all = append(all, v)
	}
	return all, nil
}

// loadIn reads the tensors of a file in a folder.
func loadIn(dir, name string) (safetensors.Tensors, error) {
	folder, err := confined.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	file, err := safetensors.OpenIn(folder, name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return file.Tensors()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// ask scores the held-out turns with every voter. Their adapters sit in the same places, so one engine serves all.
func (e *executor) ask(ctx context.Context, voters []voter, base *models.Folder, task train.Task) ([][]eval.TurnScore, error) {
	engine, err := train.NewEngine(train.Spec{Architecture: base.Architecture, Sites: voters[0].sites, Threads: e.config.Threads, Spin: e.config.Spin, NoKernels: !e.config.Kernels, Device: e.config.Device})
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	encoder, _ := models.Split(base.Architecture, base.Tensors)
	shared, err := train.NewSet(encoder, nil)
	if err != nil {
		return nil, err
	}
	defer shared.Close()
	votes := make([][]eval.TurnScore, len(voters))
	for i, v := range voters {
		own, err := train.NewSet(v.weights, nil)
		if err != nil {
			return nil, err
		}
		if err = engine.CheckOrder(ctx, &task.HeldOut[0], own, shared); err == nil {
			votes[i], err = engine.Evaluate(ctx, task.HeldOut, own, shared)
		}
		own.Close()
		if err != nil {
			return nil, err
		}
	}
	return votes, nil
}

// meanScores is the mean over voters of each candidate's score. All voters scored the same turns.
func meanScores(votes [][]eval.TurnScore) []eval.TurnScore {
	mean := make([]eval.TurnScore, len(votes[0]))
	for i, turn := range votes[0] {
		sums := make([]float64, len(turn.Scores))
		for _, scores := range votes {
			for j, s := range scores[i].Scores {
				sums[j] += float64(s)
			}
		}
		turn.Scores = make([]float32, len(sums))
		for j, sum := range sums {
			turn.Scores[j] = float32(sum / float64(len(votes)))
		}
		mean[i] = turn
	}
	return mean
}
