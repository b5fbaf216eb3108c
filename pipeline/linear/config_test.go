package linear

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"metalora/configs"
	"metalora/pipeline/fault"
	"metalora/pipeline/golden"
)

var ignoreOrigins = cmpopts.IgnoreUnexported(Config{})

// TestPublishedConfig: configs/linear.yaml spells the defaults out, all of them.
func TestPublishedConfig(t *testing.T) {
	got, err := Parse("linear.yaml", configs.Linear, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Name = "linear"
	if diff := cmp.Diff(want, got, ignoreOrigins); diff != "" {
		t.Errorf("-default +file:\n%s", diff)
	}
	var written bytes.Buffer
	if err := got.Write(&written); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(written.String()) {
		key, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		if !strings.HasPrefix(key, "- ") && !bytes.Contains(configs.Linear, []byte(key+":")) {
			t.Errorf("%s is not written out", key)
		}
	}
	again, err := Parse("linear.yaml", written.Bytes(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, again, ignoreOrigins); diff != "" {
		t.Errorf("-written +read:\n%s", diff)
	}
}

func TestSmallConfig(t *testing.T) {
	c, err := Load("../../configs/linear-small.yaml", []string{"seed=4", "landscape.cases=[{dimension: 2, tasks: 2, rank: 1}]"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "linear-small" || c.Seed != 4 || len(c.Landscape.Cases) != 1 || c.Landscape.Cases[0] != (Case{2, 2, 1}) {
		t.Errorf("%+v", c)
	}
}

// TestMessages: what is said of settings that cannot be, with the place.
func TestMessages(t *testing.T) {
	var out strings.Builder
	for _, x := range []struct {
		name, yaml string
		sets       []string
	}{
		{name: "unknown key", yaml: "run: 3\n"},
		{name: "unknown key in a section", yaml: "point:\n  dimensions: 3\n"},
		{name: "key of another section", yaml: "inner_rate: 1\n"},
		{name: "word for a number", yaml: "runs: five\n"},
		{name: "value for a list", yaml: "noise: 0.1\n"},
		{name: "no noise", yaml: "noise: []\n"},
		{name: "noise twice", yaml: "noise: [0.1, 0.1]\n"},
		{name: "noise 0", yaml: "noise: [0]\n"},
		{name: "runs 0", yaml: "runs: 0\n"},
		{name: "negative rate", yaml: "\nretrain: {rate: -1}\n"},
		{name: "rank above the dimension", yaml: "point: {rank: 11}\n"},
		{name: "figure with a rank above the dimension", yaml: "vary: {dimension: [1, 2], rank: [1]}\npoint: {rank: 2}\n"},
		{name: "one task", yaml: "vary: {tasks: [1, 2]}\n"},
		{name: "no steps", yaml: "adapt: {steps: {rank: 0}}\n"},
		{name: "slope of one value", yaml: "slope: {samples: [100]}\n"},
		{name: "fewer starts than truths", yaml: "landscape: {starts: 3}\n"},
		{name: "impossible case", yaml: "landscape: {cases: [{dimension: 2, tasks: 2, rank: 3}]}\n"},
		{name: "case without tasks", yaml: "landscape: {cases: [{dimension: 2, rank: 1}]}\n"},
		{name: "no override", sets: []string{"runs"}},
		{name: "override of no key", sets: []string{"retrain.step=4"}},
		{name: "no YAML", yaml: "a: [\n"},
	} {
		_, err := Parse("a.yaml", []byte(x.yaml), x.sets)
		if err == nil {
			t.Errorf("%s: no error", x.name)
			continue
		}
		fmt.Fprintf(&out, "%s\n  exit %d: %v\n", x.name, fault.Code(err), err)
	}
	golden.Compare(t, "testdata/messages.txt", out.String())
	if _, err := Load(filepath.Join(t.TempDir(), "no.yaml"), nil); fault.Code(err) != fault.CodeInput || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(string(configs.Linear), "runs=3")
	f.Add("landscape: {cases: [{dimension: 3, tasks: 2, rank: 1}]}", "noise=[1]")
	f.Add("a: &a [*a]", "vary.rank=*a")
	f.Fuzz(func(t *testing.T, text, set string) {
		c, err := Parse("a.yaml", []byte(text), []string{set})
		if err != nil {
			if code := fault.Code(err); code != fault.CodeUsage && code != fault.CodeInput {
				t.Errorf("exit %d: %v", code, err)
			}
			return
		}
		var written bytes.Buffer
		if err := c.Write(&written); err != nil {
			t.Fatal(err)
		}
		again, err := Parse("written.yaml", written.Bytes(), nil)
		if err != nil {
			t.Fatalf("reading what was written: %v", err)
		}
		if diff := cmp.Diff(c, again, ignoreOrigins); diff != "" {
			t.Errorf("-written +read:\n%s", diff)
		}
	})
}
