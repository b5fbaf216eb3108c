package train

import (
	"flag"
	"runtime"
	"runtime/debug"
	"testing"

	"metalora/models"
	"metalora/pipeline/machine"
	"metalora/pipeline/rng"
	"metalora/tokenize"
)

var soakTurns = flag.Int("soak", 300, "turns of TestSoak; `./task soak` takes 10,000")

// TestSoak: turns of random sizes, trained on and scored, do not grow the process. The largest comes first, and a third of the
// turns is the warm-up in which the engine's arena takes its shape; what is allowed afterwards is far less than a megabyte
// a turn's worth of anything that is left behind: 20 MiB over all turns, however many.
func TestSoak(t *testing.T) {
	if machine.Resident() == 0 {
		t.Skip("this system does not say how much memory a process has")
	}
	defer CollectOften()()
	run := nanoRunOf(t, Base|Head, 0.1)
	folder := loadModel(t, "testdata/nano-roberta")
	scorer := newEngine(t, Spec{Architecture: folder.Architecture, Dropout: models.Dropout{}, Threads: 2})
	sizes := rng.New(11, "soak")
	goroutines, start := 0, int64(0)
	for n := range *soakTurns {
		rows, length := 1+sizes.IntN(20), 4+sizes.IntN(120)
		if n == 0 {
			rows, length = 20, 123
		}
		turn := randomTurn(sizes, rows, length)
		if _, err := run.Engine.Accumulate(t.Context(), turn, rows, rng.New(5, "masks", n), run.Shared); err != nil {
			t.Fatal(err)
		}
		if _, err := run.Update(0); err != nil {
			t.Fatal(err)
		}
		if _, err := scorer.Score(t.Context(), turn, run.Shared); err != nil {
			t.Fatal(err)
		}
		if n == *soakTurns/3 {
			debug.FreeOSMemory()
			goroutines, start = runtime.NumGoroutine(), machine.Resident()
		}
	}
	debug.FreeOSMemory()
	grown := machine.Resident() - start
	t.Logf("%d turns: from %d MiB by %d KiB", *soakTurns, start>>20, grown>>10)
	if grown > 20<<20 {
		t.Errorf("the process grew by %d MiB", grown>>20)
	}
	if now := runtime.NumGoroutine(); now > goroutines {
		t.Errorf("%d goroutines, %d before", now, goroutines)
	}
}

func randomTurn(s *rng.Stream, rows, length int) *Turn {
	ids := make([][]int, rows)
	for i := range ids {
		for range 1 + s.IntN(length) {
			ids[i] = append(ids[i], 4+s.IntN(990))
		}
	}
	return &Turn{Batch: tokenize.NewBatch(ids, 1), Gold: s.IntN(rows)}
}
