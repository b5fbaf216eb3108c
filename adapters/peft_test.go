package adapters

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"metalora/models/safetensors"

	"github.com/google/go-cmp/cmp"
)

// TestLoad reads adapters that PEFT 0.19.1 saved.
func TestLoad(t *testing.T) {
	all := LoRA{Rank: 4, Alpha: 16, TargetRegexp: `.*encoder\.layer\.\d+\.(attention\.self\.(query|key|value)|attention\.output\.dense|intermediate\.dense|output\.dense)`}
	patterned := all
	patterned.RankPattern = []Pattern{{"layer.1.intermediate.dense", 6}, {"query", 2}}
	patterned.AlphaPattern = []Pattern{{"layer.0.attention.output.dense", 32}, {"query", 6}}
	for name, want := range map[string]LoRA{"all-linear-r4": all, "patterns": patterned} {
		t.Run(name, func(t *testing.T) {
			a, err := Load(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, a.LoRA); diff != "" {
				t.Error(diff)
			}
			if a.Base != "tiny-roberta" || len(a.Head()) != 4 || len(a.Tensors) != 4+2*12 {
				t.Errorf("base %q, %d tensors, %d of them the head's", a.Base, len(a.Tensors), len(a.Head()))
			}
		})
	}
}

// TestPatternsSetRankAndScale has the four kinds of layer that the adapter "patterns" tells apart.
func TestPatternsSetRankAndScale(t *testing.T) {
	a, err := Load("testdata/patterns")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Site{
		"roberta.encoder.layer.0.attention.self.query":   {Rank: 2, Scale: 3},
		"roberta.encoder.layer.1.intermediate.dense":     {Rank: 6, Scale: 16. / 6},
		"roberta.encoder.layer.0.attention.output.dense": {Rank: 4, Scale: 8},
		"roberta.encoder.layer.0.intermediate.dense":     {Rank: 4, Scale: 4},
	} {
		got, err := a.LoRA.At(Linear{Name: name})
		if err != nil || got.Rank != want.Rank || got.Scale != want.Scale {
			t.Errorf("%s: rank %d, scale %v (%v), want %d, %v", name, got.Rank, got.Scale, err, want.Rank, want.Scale)
		}
	}
}

func TestSaveLoadRoundTrip(t *testing.T) {
	for _, name := range []string{"all-linear-r4", "patterns"} {
		t.Run(name, func(t *testing.T) {
			a, err := Load(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(t.TempDir(), "adapter")
			if err := a.Save(dir); err != nil {
				t.Fatal(err)
			}
			b, err := Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(a, b); diff != "" {
				t.Error(diff)
			}
			sameFields(t, filepath.Join("testdata", name, configFile), filepath.Join(dir, configFile))
			sameBytes(t, filepath.Join("testdata", name, weightsFile), filepath.Join(dir, weightsFile))
		})
	}
}

// sameFields compares what we write with what PEFT writes; only the redundant modules_to_save may differ.
func sameFields(t *testing.T, want, got string) {
	t.Helper()
	var fields [2]map[string]any
	for i, path := range []string{want, got} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &fields[i]); err != nil {
			t.Fatal(err)
		}
		delete(fields[i], "modules_to_save")
	}
	if diff := cmp.Diff(fields[0], fields[1]); diff != "" {
		t.Errorf("%s (-PEFT's +ours):\n%s", configFile, diff)
	}
}

// sameBytes holds because safetensors sorts by name where all types are equal, as we do.
func sameBytes(t *testing.T, want, got string) {
	t.Helper()
	a, errA := os.ReadFile(want)
	b, errB := os.ReadFile(got)
	if errA != nil || errB != nil || string(a) != string(b) {
		t.Errorf("%s and %s differ (%v, %v)", want, got, errA, errB)
	}
}

func TestLoadRefusesDoRA(t *testing.T) {
	_, err := Load("testdata/dora-r4")
	if err == nil || !strings.Contains(err.Error(), "DoRA is not supported") {
		t.Errorf("got %v", err)
	}
}

func TestLoadRefusesConfigurations(t *testing.T) {
	for name, c := range map[string]struct {
		field string
		value any
		want  string
	}{
		"another family":      {"peft_type", "IA3", `peft_type: "IA3" is not supported`},
		"biases":              {"bias", "lora_only", `bias: "lora_only" is not supported`},
		"bias of B":           {"lora_bias", true, "lora_bias: true is not supported"},
		"transposed":          {"fan_in_fan_out", true, "fan_in_fan_out: true is not supported"},
		"changed base":        {"init_lora_weights", "pissa", `init_lora_weights: "pissa" is not supported`},
		"another task":        {"task_type", "CAUSAL_LM", `task_type: "CAUSAL_LM" is not supported`},
		"excluded layers":     {"exclude_modules", []string{"key"}, `exclude_modules: ["key"] is not supported`},
		"repeated layers":     {"layer_replication", [][]int{{0, 1}}, "layer_replication: [[0,1]] is not supported"},
		"of a later release":  {"use_something_new", true, "use_something_new: true is not supported"},
		"rank zero":           {"r", 0, `rank of "r": 0`},
		"rank of another":     {"r", 5, "shape [4 32], want [5 32]"},
		"huge rank":           {"r", 1 << 40, `rank of "r": 1.099511627776e+12`},
		"rank as text":        {"r", "4", "r: json: cannot unmarshal string"},
		"dropout":             {"lora_dropout", 1.5, "lora_dropout: 1.5"},
		"a bad expression":    {"rank_pattern", map[string]int{"(": 4}, "rank_pattern: regular expression"},
		"look-ahead":          {"rank_pattern", map[string]int{"(?!query)": 4}, "invalid or unsupported Perl syntax"},
		"a pattern of nought": {"rank_pattern", map[string]int{"query": 0}, `rank of "query": 0`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(changed(t, c.field, c.value))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

// changed is a copy of an adapter folder with one field of its configuration replaced.
func changed(t *testing.T, field string, value any) string {
	t.Helper()
	dir := t.TempDir()
	data, err := os.ReadFile("testdata/all-linear-r4/" + configFile)
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]any{}
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatal(err)
	}
	fields[field] = value
	if data, err = json.Marshal(fields); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, configFile), data)
	if data, err = os.ReadFile("testdata/all-linear-r4/" + weightsFile); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, weightsFile), data)
	return dir
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoadRefusesTensors(t *testing.T) {
	const query = "base_model.model.roberta.encoder.layer.0.attention.self.query"
	for name, c := range map[string]struct {
		change func(safetensors.Tensors)
		want   string
	}{
		"B missing":  {func(x safetensors.Tensors) { delete(x, query+".lora_B.weight") }, "its lora_B is missing"},
		"A missing":  {func(x safetensors.Tensors) { delete(x, query+".lora_A.weight") }, "its lora_A is missing"},
		"no prefix":  {func(x safetensors.Tensors) { x["weight"] = scalar() }, `tensor "weight": name does not start with`},
		"a stranger": {func(x safetensors.Tensors) { x[query+".lora_E"] = scalar() }, "neither a LoRA matrix nor part of the head"},
		"no matrix":  {func(x safetensors.Tensors) { x[query+".lora_A.weight"] = scalar() }, "both need two dimensions"},
		"no adapter": {func(x safetensors.Tensors) { clear(x) }, "no tensor is a LoRA matrix"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := changed(t, "revision", nil)
			tensors, err := safetensors.Load(filepath.Join(dir, weightsFile))
			if err != nil {
				t.Fatal(err)
			}
			c.change(tensors)
			if err := safetensors.Save(filepath.Join(dir, weightsFile), tensors, nil); err != nil {
				t.Fatal(err)
			}
			_, err = Load(dir)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("got %v, want an error with %q and the folder", err, c.want)
			}
		})
	}
}

func scalar() safetensors.Tensor { return safetensors.Tensor{Data: []float32{1}} }

// FuzzParseConfig looks for a panic, and for a configuration that passes although its rank is impossible.
func FuzzParseConfig(f *testing.F) {
	for _, name := range []string{"all-linear-r4", "patterns", "dora-r4"} {
		data, err := os.ReadFile(filepath.Join("testdata", name, configFile))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"peft_type":"LORA","target_modules":"all-linear","layers_to_transform":3,"rank_pattern":{"a":1}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := parseConfig(data)
		if err == nil && a.LoRA.Rank < 1 {
			t.Errorf("rank %d passed", a.LoRA.Rank)
		}
	})
}
