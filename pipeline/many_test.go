//go:build unix

package pipeline

import (
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkManyUnits measures on 2,040 finished units, whose adaptations are scored on 120 turns each as MiniLM's on ConvAI2 are, what
// plan, status and submit do, the states of all, and the report.
func BenchmarkManyUnits(b *testing.B) {
	e := generated(b, func(*Unit) bool { return true }, "synthetic={personas: {retrain: 10, test: 10}, dialogues: 14, turns: 10}",
		"tasks.test.held_out=12", "tasks.retrain.ranks=1-10", "tasks.retrain.held_out=1",
		"seeds=[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]", "retrain.methods=[sr, meta-lora-8, meta-lora-16, reptile]", "adapt.families=[lora-8, lora-16, last-layer, full, none]", "adapt.turns=[all]")
	bytes := int64(0)
	for i := range e.Units {
		if info, err := os.Stat(filepath.Join(e.Units[i].Dir, ResultsFile)); err == nil {
			bytes += info.Size()
		}
	}
	b.Logf("%d units, %d MB of results", len(e.Units), bytes>>20)
	b.Run("states", func(b *testing.B) {
		for b.Loop() {
			start := cpuSeconds(b)
			again, err := Open(e.Config, e.Dir)
			if err != nil {
				b.Fatal(err)
			}
			states, err := again.States()
			if err != nil {
				b.Fatal(err)
			}
			again.Estimate(states)
			b.ReportMetric(cpuSeconds(b)-start, "cpu-s")
		}
	})
	b.Run("report", func(b *testing.B) {
		for b.Loop() {
			start := cpuSeconds(b)
			study, err := Report(e)
			if err != nil {
				b.Fatal(err)
			}
			if err := study.WriteReport(e.ReportDir()); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(cpuSeconds(b)-start, "cpu-s")
		}
	})
}
