package models

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"metalora/models/safetensors"

	"github.com/google/go-cmp/cmp"
)

// TestBareEncoders strips a model to what its bare class saves, under the names that the first release of BERT gave to
// norms. It loads whole again; of the families only BERT's pooler is of use.
func TestBareEncoders(t *testing.T) {
	for dir, c := range map[string]struct {
		prefix, class string
		pooler        bool
	}{
		"nano-roberta":      {"roberta.", "Roberta", false},
		"nano-bert":         {"bert.", "Bert", true},
		"micro/distilbert":  {"distilbert.", "DistilBert", false},
		"micro/xlm-roberta": {"roberta.", "XLMRoberta", false},
	} {
		t.Run(dir, func(t *testing.T) {
			full, err := Load(filepath.Join("testdata", dir))
			if err != nil {
				t.Fatal(err)
			}
			bare, want := safetensors.Tensors{}, safetensors.Tensors{}
			for name, x := range full.Tensors {
				if short, ok := strings.CutPrefix(name, c.prefix); ok {
					short = strings.Replace(short, "LayerNorm.weight", "LayerNorm.gamma", 1)
					bare[strings.Replace(short, "LayerNorm.bias", "LayerNorm.beta", 1)] = x
					want[name] = x
				}
			}
			got := reload(t, filepath.Join("testdata", dir, "config.json"), bare)
			if diff := cmp.Diff(want, got.Tensors); diff != "" || got.HasHead {
				t.Errorf("head %v, tensors %s", got.HasHead, diff)
			}
			if kept := Poolers(got.Architecture, got.Tensors); (len(kept) == 2) != c.pooler {
				t.Errorf("%d tensors of a pooler", len(kept))
			}
			for head, class := range map[bool]string{true: "ForSequenceClassification", false: "Model"} {
				if name := full.Architecture.(Config).Class(head); name != c.class+class {
					t.Errorf("class %s, want %s", name, c.class+class)
				}
			}
		})
	}
}

// reload writes a folder of the tensors, loads it, saves what was loaded and loads that.
func reload(t *testing.T, config string, tensors safetensors.Tensors) *Folder {
	t.Helper()
	first, second := t.TempDir(), t.TempDir()
	copyTo(t, filepath.Join(first, "config.json"), config)
	saveTensors(t, filepath.Join(first, weightsFile), tensors)
	f, err := Load(first)
	if err == nil {
		err = f.Architecture.Save(second, f.Tensors, "")
	}
	if err == nil {
		f, err = Load(second)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestDefaults has what Hugging Face takes for an empty configuration of each family.
func TestDefaults(t *testing.T) {
	rate := 0.2
	for family, want := range map[string]struct {
		vocabulary, layers, pad, length, segments int
		head                                      *float64
	}{
		"roberta":     {50265, 12, 1, 510, 0, nil},
		"xlm-roberta": {30522, 12, 1, 510, 0, nil},
		"bert":        {30522, 12, 0, 512, 2, nil},
		"distilbert":  {30522, 6, 0, 512, 0, &rate},
	} {
		t.Run(family, func(t *testing.T) {
			var c Config
			if err := json.Unmarshal([]byte(`{"model_type":"`+family+`"}`), &c); err != nil {
				t.Fatal(err)
			}
			if err := c.Check(); err != nil {
				t.Error(err)
			}
			limits := Limits{want.vocabulary, want.pad, want.length, want.pad == 1, want.segments}
			if diff := cmp.Diff(limits, c.Limits()); diff != "" || c.NumHiddenLayers != want.layers {
				t.Errorf("%d layers, %s", c.NumHiddenLayers, diff)
			}
			if diff := cmp.Diff(want.head, c.ClassifierDropout); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestDistilBertFields has the names that DistilBERT gives to fields, read, refused and written.
func TestDistilBertFields(t *testing.T) {
	text := `{"model_type":"distilbert","dim":8,"n_layers":3,"n_heads":2,"hidden_dim":20,"dropout":0.3,"attention_dropout":0.4,` +
		`"seq_classif_dropout":0.5,"activation":"relu","sinusoidal_pos_embds":false,"hidden_size":77}`
	var c Config
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	if c.HiddenSize != 8 || c.NumHiddenLayers != 3 || c.NumAttentionHeads != 2 || c.IntermediateSize != 20 || c.HiddenAct != "relu" ||
		c.Dropout() != (Dropout{0.3, 0.4, 0.5}) {
		t.Errorf("read %+v", c)
	}
	c.NumAttentionHeads = 3
	if err := c.Check(); err == nil || !strings.Contains(err.Error(), "dim 8 is no multiple of n_heads 3") {
		t.Errorf("got %v", err)
	}
	c.NumAttentionHeads = 4
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var written map[string]any
	if err := json.Unmarshal(data, &written); err != nil {
		t.Fatal(err)
	}
	if written["n_heads"] != 4.0 || written["dim"] != 8.0 || written["hidden_size"] != 77.0 || written["num_attention_heads"] != nil || written[""] != nil {
		t.Errorf("wrote %s", data)
	}
	sinusoidal := strings.Replace(text, `"sinusoidal_pos_embds":false`, `"sinusoidal_pos_embds":true`, 1)
	if err := json.Unmarshal([]byte(sinusoidal), &c); err != nil {
		t.Fatal(err)
	}
	if err := c.Check(); err == nil || !strings.Contains(err.Error(), "sinusoidal_pos_embds true is not supported") {
		t.Errorf("got %v", err)
	}
}

func TestLimitsCheck(t *testing.T) {
	roberta, bert := Limits{Vocabulary: 10, Pad: 1, Length: 2, FreePads: true}, Limits{Vocabulary: 10, Length: 2, Segments: 2}
	for name, c := range map[string]struct {
		limits     Limits
		ids, types []int
		want       string // "" for none
	}{
		"fits":                 {roberta, []int{0, 2}, []int{0, 0}, ""},
		"pads take no place":   {roberta, []int{0, 1, 1, 2}, nil, ""},
		"pads take places":     {bert, []int{0, 1, 2}, nil, "3 ids, and the model has 2 positions"},
		"nothing":              {bert, nil, nil, "a row without ids"},
		"outside":              {bert, []int{1, 10}, nil, "id 10 at 1 is outside the vocabulary of 10"},
		"negative":             {bert, []int{-1}, nil, "id -1 at 0"},
		"segments":             {bert, []int{1, 2}, []int{0, 1}, ""},
		"segments not read":    {roberta, []int{0, 2}, []int{0, 1}, "segment id 1 at 1: the model's go up to 0"},
		"too high a segment":   {bert, []int{1, 2}, []int{0, 2}, "segment id 2 at 1: the model's go up to 1"},
		"segments of one more": {bert, []int{1}, []int{0, 1}, "2 segment ids for 1 ids"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.limits.Check(c.ids, c.types)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
