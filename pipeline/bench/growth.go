package bench

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"text/tabwriter"
	"time"

	"metalora/pipeline/machine"
	"metalora/pipeline/rng"
	"metalora/pipeline/train"
	"metalora/tokenize"
)

// Growth is what a number of turns of random lengths took, one after the other in one process.
type Growth struct {
	Turns       int     `json:"turns"`
	Tokens      int     `json:"tokens"`       // real ones
	Training    float64 `json:"training_us"`  // microseconds of a token: forward, backward and a step of the optimiser every 8 turns
	Scoring     float64 `json:"scoring_us"`   // microseconds of a token: forward alone
	ResidentMiB float64 `json:"resident_mib"` // after them; 0: not known
}

// growthPairs of a turn are taken, so that 10,000 turns take minutes.
const growthPairs = 4

// MeasureGrowth trains and scores 10, 100, … up to most turns of the data with a small model: four pairs of each, drawn at random. The
// longest turn comes first, a hundred times, for the engine's memory to take its size.
func MeasureGrowth(ctx context.Context, data string, threads, most int) ([]Growth, error) {
	turns, err := peerTurns(data, 40)
	if err != nil {
		return nil, err
	}
	g, err := newGrower(threads)
	if err != nil {
		return nil, err
	}
	defer g.close()
	defer train.CollectOften()()
	s := rng.New(1, "growth")
	longest := slices.MaxFunc(turns, func(a, b train.Turn) int { return cmp.Compare(a.Length, b.Length) })
	for range 100 {
		if err := g.turn(ctx, some(s, &longest), &Growth{}); err != nil {
			return nil, err
		}
	}
	var all []Growth
	for n := 10; n <= most; n *= 10 {
		r := Growth{Turns: n}
		for range n {
			if err := g.turn(ctx, some(s, &turns[s.IntN(len(turns))]), &r); err != nil {
				return nil, err
			}
		}
		r.Training, r.Scoring = r.Training/float64(r.Tokens), r.Scoring/float64(r.Tokens)
		debug.FreeOSMemory() // what lies about is no growth
		r.ResidentMiB = float64(machine.Resident()) / (1 << 20)
		all = append(all, r)
	}
	return all, nil
}

// some draws pairs of a turn.
func some(s *rng.Stream, t *train.Turn) *train.Turn {
	var rows [][]int
	for _, r := range s.Perm(t.Rows)[:min(t.Rows, growthPairs)] {
		row := t.IDs[r*t.Length : (r+1)*t.Length]
		n := 0
		for _, on := range t.Mask[r*t.Length : (r+1)*t.Length] {
			n += int(on)
		}
		rows = append(rows, ids(row[:n]))
	}
	return &train.Turn{Batch: tokenize.NewBatch(rows, 1)}
}

// grower trains all weights of a small model and scores with it.
type grower struct {
	load   *load
	scorer *train.Engine
	done   int
}

func newGrower(threads int) (*grower, error) {
	cases, err := Cases("demo", 1, 1, threads, 1)
	if err != nil {
		return nil, err
	}
	c := cases[len(cases)-1] // every weight and LoRA, dropout on
	g := &grower{}
	if g.load, err = c.load(); err != nil {
		return nil, err
	}
	spec, err := newSpec(c.Config, 0, c.Rank, 0)
	if err == nil {
		spec.Threads = threads
		g.scorer, err = train.NewEngine(spec)
	}
	if err != nil {
		g.load.close()
		return nil, err
	}
	return g, nil
}

func (g *grower) close() {
	g.scorer.Close()
	g.load.close()
}

// turn trains on a turn and scores it; times add up in r, in microseconds.
func (g *grower) turn(ctx context.Context, t *train.Turn, r *Growth) error {
	start := time.Now()
	if _, err := g.load.engine.Accumulate(ctx, t, t.Rows, g.load.masks, g.load.set); err != nil {
		return err
	}
	if g.done++; g.done%turnsPerStep == 0 {
		if err := g.load.update(); err != nil {
			return err
		}
	}
	trained := time.Now()
	if _, err := g.scorer.Score(ctx, t, g.load.set); err != nil {
		return err
	}
	r.Training += float64(trained.Sub(start).Microseconds())
	r.Scoring += float64(time.Since(trained).Microseconds())
	r.Tokens += t.Tokens
	return nil
}

// WriteGrowth prints readings as a Markdown table.
func WriteGrowth(w io.Writer, all []Growth) error {
	out := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprintln(out, "| turns\t| tokens\t| training, µs a token\t| scoring, µs a token\t| resident MiB after them\t|\n|---\t|---\t|---\t|---\t|---\t|")
	for _, g := range all {
		fmt.Fprintf(out, "| %d\t| %d\t| %.1f\t| %.1f\t| %.1f\t|\n", g.Turns, g.Tokens, g.Training, g.Scoring, g.ResidentMiB)
	}
	return out.Flush()
}
