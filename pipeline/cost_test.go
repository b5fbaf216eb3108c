//go:build unix

package pipeline

import (
	"testing"

	"golang.org/x/sys/unix"
)

// cpuSeconds is the time of the CPU, system calls included, that this process took, which a busy machine does not stretch as it does the clock.
func cpuSeconds(t testing.TB) float64 {
	t.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return float64(usage.Utime.Sec+usage.Stime.Sec) + float64(usage.Utime.Usec+usage.Stime.Usec)/1e6
}

// TestPlanCost: 4,860 units are planned and looked up in an empty folder in under a second.
func TestPlanCost(t *testing.T) {
	c, err := Load("../configs/convai2-all.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	before := cpuSeconds(t)
	units, err := Plan(c, inputs)
	if err != nil {
		t.Fatal(err)
	}
	e := &Experiment{Config: c, Units: units, Dir: t.TempDir()}
	states, err := e.States()
	if err != nil {
		t.Fatal(err)
	}
	e.Estimate(states)
	took := cpuSeconds(t) - before
	t.Logf("%d units: %.3f s", len(units), took)
	if took > 1 {
		t.Errorf("planning %d units took %.2f s of CPU", len(units), took)
	}
}

// TestReportCost: a finished run of 2,187 units is looked up in under a second of CPU, as plan, status and submit do, and reported in under ten seconds of CPU, figures and all.
func TestReportCost(t *testing.T) {
	e := generated(t, func(*Unit) bool { return true }, "seeds=[0, 1, 2]",
		"retrain.methods=[none, sr, sr-mixed, sr-heads, meta-lora-8, meta-last-layer, reptile, fomaml-8, anil]")
	before := cpuSeconds(t)
	again, err := Open(e.Config, e.Dir)
	if err != nil {
		t.Fatal(err)
	}
	states, err := again.States()
	if err != nil {
		t.Fatal(err)
	}
	again.Estimate(states)
	took := cpuSeconds(t) - before
	t.Logf("%d finished units: looked up in %.2f s", len(states), took)
	if took > 1 {
		t.Errorf("looking up %d finished units took %.2f s of CPU", len(states), took)
	}
	before = cpuSeconds(t)
	study, err := Report(e)
	if err != nil {
		t.Fatal(err)
	}
	read := cpuSeconds(t) - before
	if err := study.WriteReport(e.ReportDir()); err != nil {
		t.Fatal(err)
	}
	took = cpuSeconds(t) - before
	t.Logf("%d units: read in %.1f s, reported in %.1f s", len(e.Units), read, took)
	if len(study.Missing) > 0 || len(study.Records) != 2160 {
		t.Errorf("%d records, %d missing", len(study.Records), len(study.Missing))
	}
	if took > 10 {
		t.Errorf("reporting on %d units took %.1f s of CPU", len(e.Units), took)
	}
}
