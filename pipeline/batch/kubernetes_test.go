package batch

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/pipeline"
	"metalora/pipeline/fault"
	"metalora/pipeline/golden"
)

// synthetic is a small experiment whose folder does not exist.
func synthetic(t *testing.T, dir string) *pipeline.Experiment {
	t.Helper()
	c, err := pipeline.Load("../../configs/demo.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := pipeline.Open(c, dir)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func kubernetes() Kubernetes {
	return Kubernetes{Image: "registry.example/metalora:1", Command: "metalora", Storage: "20Gi", CPUs: 4, Memory: "8Gi", Parallel: 10}
}

// TestManifests compares with the file that tools/kubernetes hands to Kubernetes' own validation. The name has the folder's
// place in it, which differs from one checkout to the next.
func TestManifests(t *testing.T) {
	e := synthetic(t, "runs/demo")
	pending, err := e.Pending(nil)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := kubernetes().Print(&out, e, Groups(pending)); err != nil {
		t.Fatal(err)
	}
	name, err := Name(e)
	if err != nil {
		t.Fatal(err)
	}
	// The configuration has its own tests; here it only has to be there.
	got := regexp.MustCompile(`(?s)experiment.yaml: \|\n    name: demo\n.*\nkind: ConfigMap`).ReplaceAllString(out.String(), "experiment.yaml: |\n    name: demo\nkind: ConfigMap")
	got = strings.ReplaceAll(got, name, "metalora-demo-000000")
	golden.Compare(t, "testdata/demo.yaml", got)
}

func TestKubernetesErrors(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Kubernetes)
		dir    string
		want   string
	}{
		"no image":      {func(k *Kubernetes) { k.Image = "" }, "runs/x", "--image"},
		"memory":        {func(k *Kubernetes) { k.Memory = "much" }, "runs/x", "8Gi"},
		"claim":         {func(k *Kubernetes) { k.Claim = "A_b" }, "runs/x", "--claim"},
		"cpus":          {func(k *Kubernetes) { k.CPUs = 0 }, "runs/x", "--cpus"},
		"absolute path": {func(*Kubernetes) {}, "/runs/x", "relative"},
		"outside":       {func(*Kubernetes) {}, "../x", "relative"},
	} {
		t.Run(name, func(t *testing.T) {
			k := kubernetes()
			c.change(&k)
			err := k.Print(&bytes.Buffer{}, synthetic(t, c.dir), nil)
			if fault.Code(err) != fault.CodeUsage || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestParseRanges(t *testing.T) {
	for text, want := range map[string][]int{"4": {4}, "0-2": {0, 1, 2}, "0,2-3,9": {0, 2, 3, 9}} {
		got, err := ParseRanges(text)
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%s: %v %s", text, err, d)
		}
	}
}

// FuzzParseRanges: what is read is written as it was, as far as it ascends; everything else is an error of use.
func FuzzParseRanges(f *testing.F) {
	for _, text := range []string{"0-3,7", "", "1-", "-1", "3-1", "1,,2", "0-9999999999"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		positions, err := ParseRanges(text)
		if err != nil {
			if fault.Code(err) != fault.CodeUsage {
				t.Error(err)
			}
			return
		}
		again, err := ParseRanges(Ranges(positions))
		if d := cmp.Diff(positions, again); err != nil || d != "" {
			t.Errorf("%q: %v %s", text, err, d)
		}
	})
}
