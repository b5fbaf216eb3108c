package pipeline

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/pipeline/fault"
	"metalora/pipeline/golden"
)

// inputs stand for files whose content is known.
var inputs = &Inputs{Train: "t", TrainPersonas: "tp", Valid: "v", ValidPersonas: "vp", Model: "m", Tokenizer: "k"}

func plan(t *testing.T, text string, sets ...string) []Unit {
	t.Helper()
	c, err := Parse("a.yaml", []byte(text), sets)
	if err != nil {
		t.Fatal(err)
	}
	units, err := Plan(c, inputs)
	if err != nil {
		t.Fatal(err)
	}
	return units
}

// four makes of the tiny experiment one of 4 retrainings and 16 adaptations.
var four = []string{"seeds=[0, 1]", "tasks.retrain.ranks=1-4", "tasks.test.ranks=1-4"}

// TestPlan: a changed ID means that finished runs of users are computed again, so the golden file may only change with
// resultsFormat.
func TestPlan(t *testing.T) {
	var out strings.Builder
	for _, u := range plan(t, tiny, four...) {
		fmt.Fprintf(&out, "%2d  %s  %s  %v\n", u.Index, u.ID, u.Label, u.Needs)
	}
	for _, u := range plan(t, small, "seeds=[3]", "retrain.methods=[none,meta-last-layer]", "adapt.families=[last-layer]", "tasks.test.ranks=7", "data.folds=2") {
		fmt.Fprintf(&out, "%2d  %s  %s  %v\n", u.Index, u.ID, u.Label, u.Needs)
	}
	golden.Compare(t, "testdata/plan.txt", out.String())
}

func ids(units []Unit, kind Kind) map[string]string {
	byLabel := map[string]string{}
	for _, u := range units {
		if u.Kind == kind {
			byLabel[u.Label] = u.ID
		}
	}
	return byLabel
}

// TestIdentity: which units a change makes anew.
func TestIdentity(t *testing.T) {
	base := []string{"seeds=[0,1]", "retrain.methods=[sr,meta-lora-8]", "adapt.families=[lora-8,last-layer]", "tasks.test.ranks=1-2"}
	for _, test := range []struct {
		set            string
		retrain, adapt int // how many of the 4 and of the 16 keep their ID
	}{
		{set: "threads=7", retrain: 4, adapt: 16},
		{set: "spin=true", retrain: 4, adapt: 16},
		{set: "kernels=false", retrain: 4, adapt: 16},
		{set: "name=other", retrain: 4, adapt: 16},
		{set: "data.train=elsewhere/t.txt", retrain: 4, adapt: 16}, // the content counts, not the path
		{set: "seeds=[1,2,0]", retrain: 4, adapt: 16},
		{set: "retrain.methods=[meta-lora-8,sr,none]", retrain: 4, adapt: 16},
		{set: "adapt.families=[lora-1,lora-8,last-layer]", retrain: 4, adapt: 16},
		{set: "tasks.test.ranks=1-5", retrain: 4, adapt: 16},
		{set: "schedule.retrain_factor=3", retrain: 4, adapt: 16}, // means nothing to schedule.decay: total
		{set: "adapt.epochs=3", retrain: 4, adapt: 0},
		{set: "adapt.lora.alpha=3", retrain: 4, adapt: 8},
		{set: "retrain.lora.alpha=3", retrain: 2, adapt: 8},
		{set: "retrain.epochs=3", retrain: 0, adapt: 0},
		{set: "tasks.retrain.ranks=1-9", retrain: 0, adapt: 0},
		{set: "optimizer.beta1=0.8", retrain: 0, adapt: 0},
		{set: "schedule.decay=published", retrain: 0, adapt: 0},
		{set: "data.folds=2", retrain: 4, adapt: 0},
		{set: "data.turns.test=5", retrain: 4, adapt: 0},
		{set: "data.turns.retrain=5", retrain: 0, adapt: 0},
	} {
		t.Run(test.set, func(t *testing.T) {
			before := plan(t, small, base...)
			after := plan(t, small, append(base, test.set)...)
			for kind, want := range map[Kind]int{KindRetrain: test.retrain, KindAdapt: test.adapt} {
				kept, now := 0, ids(after, kind)
				for label, id := range ids(before, kind) {
					if now[label] == id {
						kept++
					}
				}
				if kept != want {
					t.Errorf("%s: %d units keep their ID, want %d", kind, kept, want)
				}
			}
		})
	}
}

// TestUnseenReplies: a retraining must not meet the replies of test personas, so it depends on them.
func TestUnseenReplies(t *testing.T) {
	one := []string{"tasks.retrain.file=valid", "tasks.retrain.ranks=11-20", "tasks.test.ranks=1-5"}
	a, b := plan(t, small, one...), plan(t, small, append(one, "tasks.test.ranks=1-6")...)
	if a[0].ID == b[0].ID {
		t.Error("one file: other test tasks leave the retraining as it is")
	}
	c, err := Parse("a.yaml", []byte(small), nil)
	if err != nil {
		t.Fatal(err)
	}
	changed := *inputs
	changed.Valid = "v2"
	units, err := Plan(c, &changed)
	if err != nil {
		t.Fatal(err)
	}
	if units[0].ID == plan(t, small)[0].ID {
		t.Error("two files: another test file leaves the retraining as it is")
	}
}

func TestSelect(t *testing.T) {
	units := plan(t, tiny, four...)
	for _, test := range []struct {
		globs []string
		want  int
		code  int
	}{
		{nil, len(units), 0},
		{[]string{"retrain*"}, 4, 0},
		{[]string{"retrain"}, 0, 2},
		{[]string{"retrain sr seed 0"}, 1, 0},
		{[]string{"adapt meta-lora-2*seed 1"}, 4, 0},
		{[]string{"*task 2*", "retrain sr*"}, 6, 0},
		{[]string{units[5].ID}, 1, 0},
		{[]string{"[a"}, 0, 2},
	} {
		t.Run(fmt.Sprint(test.globs), func(t *testing.T) {
			chosen, err := Select(units, test.globs)
			n := 0
			for _, c := range chosen {
				if c {
					n++
				}
			}
			if n != test.want || fault.Code(err) != test.code {
				t.Errorf("%d units, %v; want %d, exit %d", n, err, test.want, test.code)
			}
		})
	}
}

func TestReadInputs(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"t.txt": "1", "v.txt": "2", "train_persona_map.json": "3", "valid_persona_map.json": "4",
		"base/config.json": "5", "base/model.safetensors": "6", "base/vocab.json": "7", "base/merges.txt": "8", "base/README.md": "9"} {
		write(t, filepath.Join(dir, name), content)
	}
	load := func(sets ...string) (*Inputs, error) {
		sets = append([]string{"data.train=" + dir + "/t.txt", "data.valid=" + dir + "/v.txt", "model.path=" + dir + "/base"}, sets...)
		c, err := Parse("a.yaml", nil, sets)
		if err != nil {
			t.Fatal(err)
		}
		return ReadInputs(c)
	}
	first, err := load()
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "base/README.md"), "another text")
	again, err := load()
	if diff := cmp.Diff(first, again); diff != "" || err != nil {
		t.Errorf("a file that nobody reads counts: %v\n%s", err, diff)
	}
	write(t, filepath.Join(dir, "base/model.safetensors"), "other weights")
	changed, err := load()
	if err != nil || changed.Model == first.Model || changed.Tokenizer != first.Tokenizer {
		t.Errorf("other weights: %v, %+v", err, changed)
	}
	for _, test := range []struct{ set, want string }{
		{"data.train=" + dir + "/no.txt", "data.train"},
		{"data.valid_personas=" + dir + "/no.json", "set data.valid_personas: none"},
		{"model.path=" + dir, "holds none of"},
		{"model.tokenizer=" + dir + "/no", "--set model.tokenizer="},
	} {
		if _, err := load(test.set); fault.Code(err) != fault.CodeInput || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.set, err)
		}
	}
	if in, err := load("data.train_personas=none"); err != nil || in.TrainPersonas != "" {
		t.Errorf("no persona map: %v, %+v", err, in)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestWholeComparison: the plan of every method, family and seed has over 2,000 units, each of them once.
func TestWholeComparison(t *testing.T) {
	c, err := Load("../configs/convai2-all.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	for kind := range methods {
		if !slices.ContainsFunc(c.Retrain.Methods, func(name string) bool { v, _ := ParseMethod(name); return v.Kind == kind }) {
			t.Errorf("method %s is not in it", kind)
		}
	}
	for kind := range families {
		if !slices.ContainsFunc(c.Adapt.Families, func(name string) bool { v, _ := ParseFamily(name); return v.Kind == kind }) {
			t.Errorf("family %s is not in it", kind)
		}
	}
	units, err := Plan(c, inputs)
	if err != nil || len(units) != 12*5+12*8*5*10 {
		t.Errorf("%d units: %v", len(units), err)
	}
	seen := map[string]string{}
	for _, u := range units {
		if other, twice := seen[u.ID]; twice {
			t.Errorf("%q and %q are one unit", u.Label, other)
		}
		seen[u.ID] = u.Label
	}
}

// TestMiniLMProtocol: the protocol on real weights names its tasks by rank, scores all candidates, and plans every fold.
func TestMiniLMProtocol(t *testing.T) {
	c, err := Load("../configs/convai2-minilm.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !c.OneFile() || c.Data.Candidates.Evaluate != 0 || len(c.Tasks.Retrain.Ranks) != 30 || len(c.Seeds) < 3 {
		t.Errorf("%+v, %+v, seeds %v", c.Data, c.Tasks, c.Seeds)
	}
	units, err := Plan(c, inputs)
	if err != nil || len(units) != 6*3+6*2*10*2*3 {
		t.Errorf("%d units: %v", len(units), err)
	}
}
