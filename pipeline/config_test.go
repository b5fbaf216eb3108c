package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"metalora/configs"
	"metalora/pipeline/config"
	"metalora/pipeline/fault"
	"metalora/pipeline/golden"
)

// small is the shortest experiment that is possible.
const small = `data: {train: t.txt, valid: v.txt}
model: {path: base}
`

var ignoreOrigins = cmpopts.IgnoreUnexported(Config{})

func TestDefaultsAreThePublishedTables(t *testing.T) {
	c, err := Parse("x/small.yaml", []byte(small), nil)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.Write(&out); err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "testdata/defaults.yaml", out.String())
}

func TestConfigsThatComeAlong(t *testing.T) {
	files, err := filepath.Glob("../configs/*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if strings.HasPrefix(filepath.Base(file), "linear") {
			continue // package linear's own test reads those
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			c, err := Load(file, nil)
			if err != nil {
				t.Fatal(err)
			}
			if name := strings.TrimSuffix(filepath.Base(file), ".yaml"); c.Name != name {
				t.Errorf("name %q, want %q", c.Name, name)
			}
			roundTrip(t, c)
		})
	}
	if _, err := Parse("demo.yaml", configs.Demo, nil); err != nil {
		t.Error(err)
	}
}

// TestPublishedConfigChangesNothingElse: configs/convai2.yaml spells the defaults out, but for names, files, rules and decay.
func TestPublishedConfigChangesNothingElse(t *testing.T) {
	got, err := Load("../configs/convai2.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Name, want.Data.Rules, want.Schedule.Decay = "convai2", "published", DecayPublished
	want.Data.Train, want.Data.Valid = got.Data.Train, got.Data.Valid
	want.Data.TrainPersonas, want.Data.ValidPersonas = got.Data.TrainPersonas, got.Data.ValidPersonas
	want.Model.Path, want.Model.Tokenizer = "models/roberta-base", "models/roberta-base"
	if diff := cmp.Diff(want, got, ignoreOrigins); diff != "" {
		t.Errorf("-default +config:\n%s", diff)
	}
	for _, key := range config.Keys(reflect.TypeFor[Config]()) {
		if strings.HasPrefix(key, "synthetic.") || strings.HasPrefix(key, "model.init.") {
			continue
		}
		if _, ok := got.origins.Keys[key]; !ok {
			t.Errorf("%s is not written out", key)
		}
	}
}

func roundTrip(t *testing.T, c *Config) {
	t.Helper()
	var out bytes.Buffer
	if err := c.Write(&out); err != nil {
		t.Fatal(err)
	}
	again, err := Parse("written.yaml", out.Bytes(), nil)
	if err != nil {
		t.Fatalf("reading what was written: %v\n%s", err, out.String())
	}
	if diff := cmp.Diff(c, again, ignoreOrigins); diff != "" {
		t.Errorf("-written +read:\n%s", diff)
	}
}

func TestSets(t *testing.T) {
	c, err := Parse("a.yaml", []byte(small), []string{"retrain.epochs=3", "seeds=[7, 9]", "tasks.test.ranks=2-4", "data.separator=\" \"",
		"model.path=", "model.init={hidden: 64, layers: 2, heads: 4}", "model.tokenizer=tok", "adapt={batch: 4}", "adapt.learning_rate=1e-3", "name=2024"})
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintln(c.Retrain.Epochs, c.Seeds, c.Tasks.Test.Ranks, "|"+c.Data.Separator+"|", *c.Model.Init, c.Adapt.Batch, c.Adapt.Epochs, c.Adapt.LearningRate, c.Name)
	if want := "3 [7 9] 2-4 | | {roberta 64 2 4 256 514 0} 4 10 0.001 2024\n"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	roundTrip(t, c)
	c, err = Parse("demo.yaml", configs.Demo, []string{"model.init=null", "model.path=base", "synthetic=null", "data.train=a", "data.valid=b"})
	if err != nil || c.Model.Init != nil || c.Synthetic != nil {
		t.Errorf("%v, %+v", err, c)
	}
	if got, want := c.source(), "demo.yaml --set model.init=null --set model.path=base --set synthetic=null --set data.train=a --set data.valid=b"; got != want {
		t.Errorf("source %q", got)
	}
}

// TestMessages: every way in which a configuration can be wrong, with what the program says.
func TestMessages(t *testing.T) {
	cases := []struct {
		name, yaml string
		sets       []string
	}{
		{name: "unknown key", yaml: small + "retrian: {epochs: 3}\n"},
		{name: "unknown key in a section", yaml: small + "retrain:\n  epoch: 3\n"},
		{name: "unknown key that belongs elsewhere", yaml: small + "warmup: 0.1\n"},
		{name: "unknown key that belongs to two sections", yaml: small + "learning_rate: 1\n"},
		{name: "unknown key like no other", yaml: small + "tasks: {xyzzyx: 1}\n"},
		{name: "key twice", yaml: small + "seeds: [1]\nseeds: [2]\n"},
		{name: "word for a number", yaml: small + "retrain: {epochs: ten}\n"},
		{name: "fraction for a whole number", yaml: small + "retrain: {epochs: 2.5}\n"},
		{name: "list for a value", yaml: small + "retrain: {epochs: [1]}\n"},
		{name: "value for a list", yaml: small + "seeds: 3\n"},
		{name: "value for a section", yaml: small + "retrain: 3\n"},
		{name: "no value for a number", yaml: small + "retrain: {epochs: }\n"},
		{name: "not a number", yaml: small + "optimizer: {epsilon: .nan}\n"},
		{name: "infinite", yaml: small + "adapt: {learning_rate: .inf}\n"},
		{name: "huge number", yaml: small + "retrain: {epochs: 99999999999999999999}\n"},
		{name: "epochs 0", yaml: small + "retrain: {epochs: 0}\n"},
		{name: "batch 0", yaml: small + "adapt: {batch: 0}\n"},
		{name: "negative rate", yaml: small + "adapt: {learning_rate: -1e-4}\n"},
		{name: "one checkpoint", yaml: small + "checkpoint: {keep: 1}\n"},
		{name: "dropout 1", yaml: small, sets: []string{"model.dropout=1"}},
		{name: "negative seed", yaml: small + "seeds: [0, -1]\n"},
		{name: "seed twice", yaml: small + "seeds: [0, 1, 0]\n"},
		{name: "no seeds", yaml: small + "seeds: []\n"},
		{name: "rank 0", yaml: small + "adapt: {families: [lora-0]}\n"},
		{name: "rank missing", yaml: small + "retrain: {methods: [meta-lora]}\n"},
		{name: "rank no number", yaml: small + "retrain: {methods: [meta-lora-x]}\n"},
		{name: "misspelt method", yaml: small + "retrain: {methods: [sr, meta-lroa-8]}\n"},
		{name: "method for a family", yaml: small + "adapt: {families: [sr]}\n"},
		{name: "misspelt control", yaml: small + "retrain: {methods: [sr-head]}\n"},
		{name: "rank of a method without", yaml: small + "retrain: {methods: [reptile-8]}\n"},
		{name: "method without its adaptation", yaml: small + "retrain: {methods: [sr, meta-lora-8]}\nadapt: {families: [last-layer, none]}\n"},
		{name: "last-layer method without its adaptation", yaml: small + "retrain: {methods: [anil]}\nadapt: {families: [lora-8]}\n"},
		{name: "nothing to split", yaml: small + "retrain: {methods: [fomaml-8], batch: 1}\n"},
		{name: "rate factor 0", yaml: small + "retrain: {rate_factors: [0, 1]}\n"},
		{name: "turns twice", yaml: small + "adapt: {turns: [5, 5, all]}\n"},
		{name: "turns that are no number", yaml: small + "adapt: {turns: [some]}\n"},
		{name: "no turns", yaml: small + "adapt: {turns: []}\n"},
		{name: "one seed for a test over seeds", yaml: small + "seeds: [0]\nreport: {paired: [tasks, seeds]}\n"},
		{name: "one task for a test over tasks", yaml: small + "tasks: {test: {ranks: 1}}\nreport: {paired: [tasks]}\n"},
		{name: "test over something else", yaml: small + "report: {paired: [epochs]}\n"},
		{name: "baseline that is not run", yaml: small + "report: {baseline: reptile}\n"},
		{name: "method twice", yaml: small + "retrain: {methods: [sr, sr]}\n"},
		{name: "enumeration", yaml: "data:\n  train: a\n  valid: b\n  rules: publishd\nmodel: {path: a}\n"},
		{name: "tasks of no file", yaml: small + "tasks: {test: {file: test}}\n"},
		{name: "task ranks counting down", yaml: small + "tasks: {test: {ranks: 5-1}}\n"},
		{name: "task rank 0", yaml: small + "tasks: {test: {ranks: [0, 1]}}\n"},
		{name: "task rank no number", yaml: small + "tasks: {test: {ranks: first}}\n"},
		{name: "too many task ranks", yaml: small + "tasks: {test: {ranks: 1-99999999}}\n"},
		{name: "overlapping task ranks", yaml: small + "tasks: {test: {ranks: \"1-5,3\"}}\n"},
		{name: "no task ranks", yaml: small + "tasks: {test: {ranks: []}}\n"},
		{name: "test task that is retrained on", yaml: small + "tasks: {retrain: {file: valid, ranks: 4-8}}\n"},
		{name: "both files the same", yaml: "data: {train: ./v.txt, valid: v.txt}\nmodel: {path: a}\n"},
		{name: "held out 0", yaml: small + "tasks: {retrain: {held_out: 0}}\n"},
		{name: "no model", yaml: "data: {train: a, valid: b}\n"},
		{name: "two models", yaml: "data: {train: a, valid: b}\nmodel:\n  path: a\n  init: {hidden: 8, layers: 1, heads: 2}\n"},
		{name: "no tokenizer", yaml: small, sets: []string{"model.path=", "model.init={hidden: 8, layers: 1, heads: 2}"}},
		{name: "heads do not divide", yaml: small, sets: []string{"model.path=", "model.tokenizer=a", "model.init={hidden: 10, layers: 1, heads: 4}"}},
		{name: "hidden missing", yaml: small, sets: []string{"model.path=", "model.tokenizer=a", "model.init={layers: 1, heads: 4}"}},
		{name: "no data", yaml: "model: {path: a}\n"},
		{name: "one candidate", yaml: small, sets: []string{"data.candidates.train=1"}},
		{name: "length beyond positions", yaml: small, sets: []string{"model.path=", "model.tokenizer=a", "data.max_length=600", "model.init={hidden: 8, layers: 1, heads: 2}"}},
		{name: "folds of the published split", yaml: small, sets: []string{"data.folds=3", "data.rules=published"}},
		{name: "synthetic and files", yaml: small + "synthetic: {}\n"},
		{name: "synthetic with a tiny vocabulary", yaml: "synthetic: {vocabulary: 100}\nmodel: {path: a}\n"},
		{name: "name of a folder elsewhere", yaml: small + "name: ../x\n"},
		{name: "override without a value", yaml: small, sets: []string{"retrain.epochs"}},
		{name: "override of no key", yaml: small, sets: []string{"retrain.epoch=3"}},
		{name: "override below a value", yaml: small, sets: []string{"retrain.epochs.x=3"}},
		{name: "override of a wrong type", yaml: small, sets: []string{"seeds=one"}},
		{name: "override to the impossible", yaml: small, sets: []string{"retrain.epochs=3", "retrain.batch=-8"}},
		{name: "override that is no YAML", yaml: small, sets: []string{"seeds=[1"}},
		{name: "no YAML", yaml: "data: {train: a\nmodel: b\n"},
		{name: "tabs", yaml: "data:\n\ttrain: a\n"},
		{name: "two documents", yaml: small + "---\nseeds: [1]\n"},
		{name: "a list of its own", yaml: "- a\n- b\n"},
		{name: "recursive alias", yaml: "data: &a\n  turns: *a\n"},
		{name: "alias bomb", yaml: bomb()},
		{name: "huge file", yaml: "# " + strings.Repeat("x", config.MaxBytes)},
	}
	var out strings.Builder
	for _, test := range cases {
		_, err := Parse("a.yaml", []byte(test.yaml), test.sets)
		if err == nil {
			t.Errorf("%s: no error", test.name)
			continue
		}
		fmt.Fprintf(&out, "%s\n  exit %d: %v\n", test.name, fault.Code(err), err)
	}
	golden.Compare(t, "testdata/messages.txt", out.String())
}

// bomb is ten thousand million values in a few lines.
func bomb() string {
	text := "[a, a, a, a, a, a, a, a, a, a]"
	for i := range 10 {
		text = fmt.Sprintf("[&a%d %s%s]", i, text, strings.Repeat(fmt.Sprintf(", *a%d", i), 9))
	}
	return small + "retrain:\n  methods: " + text + "\n"
}

func FuzzParse(f *testing.F) {
	f.Add(small, "retrain.epochs=3")
	f.Add(string(configs.Demo), "synthetic=null")
	f.Add("a: &a [*a]", "seeds=*a")
	f.Fuzz(func(t *testing.T, text, set string) {
		c, err := Parse("a.yaml", []byte(text), []string{set})
		if err != nil {
			if code := fault.Code(err); code != fault.CodeUsage && code != fault.CodeInput {
				t.Errorf("exit %d: %v", code, err)
			}
			return
		}
		roundTrip(t, c)
	})
}

func TestLoadMissing(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "no.yaml"), nil)
	if fault.Code(err) != fault.CodeInput || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
