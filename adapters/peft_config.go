package adapters

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"metalora/pipeline/confined"
	"metalora/pipeline/disk"
)

// Bounds of an adapter_config.json; one that names a thousand layers has some 100 KB.
const (
	maxConfig        = 1 << 20
	maxConfigEntries = 20_000
	maxPatterns      = 1000 // each is tried on each layer
)

// peftVersion is the release of PEFT whose files we write.
const peftVersion = "0.19.1"

// readConfig reads an adapter_config.json into an Adapter without tensors.
func readConfig(folder *confined.Folder) (*Adapter, error) {
	data, err := folder.Read(configFile, maxConfig)
	if err != nil {
		return nil, err
	}
	a, err := parseConfig(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", configFile, err)
	}
	return a, nil
}

// parseConfig takes an adapter_config.json apart. Each field is used, known to change nothing once an adapter is
// trained, or has to be empty.
func parseConfig(data []byte) (*Adapter, error) {
	if err := confined.CheckJSON(data, maxConfigEntries); err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	a := &Adapter{LoRA: LoRA{Rank: 8, Alpha: 8}} // PEFT's defaults
	var kind string
	take := map[string]any{
		"peft_type": &kind, "base_model_name_or_path": &a.Base,
		"r": &a.LoRA.Rank, "lora_alpha": &a.LoRA.Alpha, "lora_dropout": &a.LoRA.Dropout, "use_rslora": &a.LoRA.RSLoRA,
		"target_modules": (*targets)(&a.LoRA), "layers_to_transform": (*layers)(&a.LoRA.Layers),
		"modules_to_save": &a.Modules, "rank_pattern": (*patterns)(&a.LoRA.RankPattern), "alpha_pattern": (*patterns)(&a.LoRA.AlphaPattern),
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		target, used := take[name]
		if !used {
			if err := refuse(name, fields[name]); err != nil {
				return nil, err
			}
		} else if err := json.Unmarshal(fields[name], target); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if kind != "LORA" {
		return nil, fmt.Errorf("peft_type: %q is not supported, want \"LORA\"", kind)
	}
	// A head's modules are known by their names, under which PEFT lists more than there are.
	if a.Modules = slices.DeleteFunc(a.Modules, headModules.MatchString); len(a.Modules) == 0 {
		a.Modules = nil
	}
	return a, a.LoRA.check()
}

// harmless lists fields that say how an adapter was started, stored or split among machines, with no say in what it
// computes. A nil list allows every value.
var harmless = map[string][]string{
	"auto_mapping": nil, "corda_config": nil, "ensure_weight_tying": nil, "eva_config": nil, "inference_mode": nil,
	"loftq_config": nil, "lora_ga_config": nil, "megatron_core": nil, "peft_version": nil,
	"qalora_group_size": nil, "revision": nil, "runtime_config": nil,
	"bias":              {`"none"`},
	"task_type":         {`"SEQ_CLS"`},
	"layers_pattern":    {`"layer"`, `["layer"]`},
	"init_lora_weights": {`true`, `"gaussian"`, `"eva"`, `"orthogonal"`}, // others, such as pissa, change the base too
}

// refuse reports a field that asks for what is not computed here. Null, false and empty ask for nothing.
func refuse(name string, raw json.RawMessage) error {
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	value := compact.String()
	allowed, known := harmless[name]
	if known && allowed == nil || slices.Contains(allowed, value) || slices.Contains([]string{"null", "false", "[]", "{}", `""`}, value) {
		return nil
	}
	if len(value) > 60 {
		value = strings.ToValidUTF8(value[:60], "") + "…"
	}
	if name == "use_dora" {
		return fmt.Errorf("use_dora: %s: DoRA is not supported", value)
	}
	return fmt.Errorf("%s: %s is not supported", name, value)
}

// check refuses sizes and rates that no adapter has.
func (l LoRA) check() error {
	const maxRank = 1 << 20 // far above every layer's width
	ranks := append([]Pattern{{"r", float64(l.Rank)}}, l.RankPattern...)
	for _, p := range ranks {
		if !(p.Value >= 1 && p.Value <= maxRank) {
			return fmt.Errorf("rank of %q: %v, want 1 to %d", p.Regexp, p.Value, maxRank)
		}
	}
	if !(l.Dropout >= 0 && l.Dropout < 1) {
		return fmt.Errorf("lora_dropout: %v, want at least 0 and less than 1", l.Dropout)
	}
	return nil
}

// targets reads target_modules: a list of names and endings, or one regular expression.
type targets LoRA

func (t *targets) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) != nil {
		return json.Unmarshal(data, &t.Targets)
	}
	if one != "all-linear" { // PEFT's word for every linear layer but the head's
		t.TargetRegexp = one
	}
	return nil
}

// layers reads layers_to_transform: a list of numbers, or one.
type layers []int

func (l *layers) UnmarshalJSON(data []byte) error {
	var one int
	if string(data) == "null" || json.Unmarshal(data, &one) != nil {
		return json.Unmarshal(data, (*[]int)(l))
	}
	*l = layers{one}
	return nil
}

// patterns is a JSON object whose order counts.
type patterns []Pattern

func (p *patterns) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if token, err := dec.Token(); err != nil || token != json.Delim('{') {
		return errors.Join(err, fmt.Errorf("found %v where an object is due", token))
	}
	if n := confined.Count(data); n > maxPatterns {
		return fmt.Errorf("%d patterns, want at most %d", n, maxPatterns)
	}
	*p = nil
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		x := Pattern{Regexp: key.(string)} // the decoder lets only strings stand here
		if err := dec.Decode(&x.Value); err != nil {
			return fmt.Errorf("%q: %w", x.Regexp, err)
		}
		if _, err := whole(x.Regexp); err != nil {
			return err
		}
		*p = append(*p, x)
	}
	return nil
}

func (p patterns) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	for _, x := range p {
		key, err := json.Marshal(x.Regexp)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(x.Value)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&out, ",%s:%s", key, value)
	}
	return append([]byte{'{'}, append(bytes.TrimPrefix(out.Bytes(), []byte{','}), '}')...), nil
}

// writeConfig writes every field that PEFT writes.
func (a *Adapter) writeConfig(path string) error {
	l := a.LoRA
	fields := map[string]any{
		"alora_invocation_tokens": nil, "alpha_pattern": patterns(l.AlphaPattern), "arrow_config": nil, "auto_mapping": nil,
		"base_model_name_or_path": a.Base, "bias": "none", "corda_config": nil, "ensure_weight_tying": false, "eva_config": nil,
		"exclude_modules": nil, "fan_in_fan_out": false, "inference_mode": true, "init_lora_weights": true,
		"layer_replication": nil, "layers_pattern": nil, "layers_to_transform": l.Layers, "loftq_config": struct{}{},
		"lora_alpha": l.Alpha, "lora_bias": false, "lora_dropout": l.Dropout, "lora_ga_config": nil,
		"megatron_config": nil, "megatron_core": "megatron.core", "modules_to_save": a.modulesToSave(),
		"peft_type": "LORA", "peft_version": peftVersion, "qalora_group_size": 16, "r": l.Rank,
		"rank_pattern": patterns(l.RankPattern), "revision": nil, "target_modules": a.targetModules(),
		"target_parameters": nil, "task_type": "SEQ_CLS", "trainable_token_indices": nil,
		"use_bdlora": nil, "use_dora": false, "use_qalora": false, "use_rslora": l.RSLoRA,
	}
	return disk.Replace(path, func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(fields)
	})
}

// modulesToSave names the head's modules among the tensors.
func (a *Adapter) modulesToSave() []string {
	var modules []string
	for _, name := range a.Head().Names() {
		module := moduleOf(name)
		if found := headModules.FindStringSubmatch(name); found != nil {
			module = found[1]
		}
		if !slices.Contains(modules, module) {
			modules = append(modules, module)
		}
	}
	return modules
}

// targetModules is what PEFT finds the adapted layers by: the expression or the endings it was made with, else what
// stands behind the layers' numbers. The last part alone would not do: "dense" means BERT's pooler too.
func (a *Adapter) targetModules() any {
	if a.LoRA.TargetRegexp != "" {
		return a.LoRA.TargetRegexp
	}
	if len(a.LoRA.Targets) > 0 {
		return a.LoRA.Targets
	}
	endings := map[string]bool{}
	for name := range a.Tensors {
		if linear, ok := strings.CutSuffix(name, ".lora_A.weight"); ok {
			if n := layerNumber.FindStringIndex(linear); n != nil {
				linear = linear[n[1]:]
			}
			endings[linear] = true
		}
	}
	return slices.Sorted(maps.Keys(endings))
}
