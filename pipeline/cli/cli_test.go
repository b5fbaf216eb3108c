package cli

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"metalora/models/safetensors"
)

const nano = "../train/testdata/nano-roberta"

// TestErrors checks what a mistake gets: its exit code and one message that names the thing.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	truncated := write("truncated.txt", "1 your persona: i like tea.\n2 hello\n")
	misnumbered := write("misnumbered.txt", "1 your persona: i like tea.\n3 hello\thi\n")
	noReply := write("noreply.txt", "1 your persona: i like tea.\n2 hello\thi\t\ta|b\n")
	typo := write("typo.yaml", "name: x\nretrain: {epochz: 3}\n")
	impossible := write("impossible.yaml", "name: x\nretrain: {epochs: -1}\nmodel: {path: m}\ndata: {train: a, valid: b}\n")
	lying := filepath.Join(dir, "lying")
	copyFolder(t, lying, nano)
	weights := filepath.Join(lying, "model.safetensors")
	data, err := os.ReadFile(weights)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(weights, data[:len(data)-100], 0o600); err != nil {
		t.Fatal(err)
	}
	ids := write("ids.jsonl", "[0,5,2]\n[0,99999,2]\n")
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"unknown verb":          {[]string{"rn"}, 2, `did you mean "run"`},
		"unknown flag":          {[]string{"doctor", "--jsn"}, 2, "jsn"},
		"missing configuration": {[]string{"run", "nowhere.yaml"}, 3, "nowhere.yaml"},
		"unknown key":           {[]string{"plan", typo}, 2, "typo.yaml:2"},
		"nearest key":           {[]string{"plan", typo}, 2, "epochs"},
		"impossible value":      {[]string{"plan", impossible}, 2, "impossible.yaml:2"},
		"truncated line":        {[]string{"data", "tasks", truncated}, 3, "truncated.txt:2"},
		"wrong number":          {[]string{"data", "tasks", misnumbered}, 3, "misnumbered.txt:2"},
		"reply is no candidate": {[]string{"data", "tasks", noReply}, 3, "noreply.txt:2"},
		"missing persona map":   {[]string{"data", "tasks", truncated, "--personas", filepath.Join(dir, "no.json")}, 3, "no.json"},
		"truncated weights":     {[]string{"logits", "--model", lying, "--ids", ids}, 3, "model.safetensors"},
		"id out of range":       {[]string{"logits", "--model", nano, "--ids", ids}, 3, "ids.jsonl:2"},
		"no head":               {[]string{"logits", "--model", "../../models/testdata/exports/bert-bare.onnx", "--ids", ids}, 3, "no classification head"},
		"tune without data":     {[]string{"tune", "--model", nano}, 2, "--data"},
		"no tokenizer":          {[]string{"tokenize", "--model", nano}, 3, "vocab.json"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := invoke(t, "", c.args...)
			if code != c.code || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, want %d; message, which should have %q:\n%s", code, c.code, c.want, stderr)
			}
		})
	}
}

func copyFolder(t *testing.T, to, from string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// TestLogits compares the command's numbers with float64 PyTorch's for the same rows: ids alone, and with segment ids.
func TestLogits(t *testing.T) {
	golden, err := safetensors.Open("../../models/testdata/forward/nano-roberta.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer golden.Close()
	ids, errIDs := golden.Int64("input_ids")
	mask, errMask := golden.Int64("attention_mask")
	want, errLogits := golden.Float64("logits")
	if err := errors.Join(errIDs, errMask, errLogits); err != nil {
		t.Fatal(err)
	}
	length := 2 * len(ids) / len(want) // two logits a row
	var lines strings.Builder
	for at := 0; at < len(ids); at += length {
		var row []int64
		for i := at; i < at+length; i++ {
			if mask[i] == 1 {
				row = append(row, ids[i])
			}
		}
		var line any = row
		if at == 0 {
			line = map[string]any{"ids": row, "types": make([]int, len(row))}
		}
		if err := json.NewEncoder(&lines).Encode(line); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "ids.jsonl")
	if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	var got []float64
	decoder := json.NewDecoder(strings.NewReader(succeed(t, "logits", "--model", nano, "--ids", file, "--json")))
	for decoder.More() {
		var row []float64
		if err := decoder.Decode(&row); err != nil {
			t.Fatal(err)
		}
		got = append(got, row...)
	}
	if len(got) != len(want) {
		t.Fatalf("%d logits, want %d", len(got), len(want))
	}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-5 {
			t.Errorf("logit %d: %v, want %v", i, got[i], want[i])
		}
	}
}

// Every verb explains itself with an example.
func TestHelp(t *testing.T) {
	for _, verb := range []string{"demo", "run", "plan", "unit", "submit slurm", "submit kubernetes", "status", "report", "linear", "tune", "predict", "evaluate", "data pull", "data tasks", "data samples", "tokenize",
		"model pull", "model inspect", "model lora", "logits", "grad", "doctor", "bench"} {
		t.Run(verb, func(t *testing.T) {
			out := succeed(t, append(strings.Fields(verb), "--help")...)
			if !strings.Contains(out, "Examples:") || !strings.Contains(out, "metalora "+verb) {
				t.Errorf("no example in:\n%s", out)
			}
		})
	}
}
