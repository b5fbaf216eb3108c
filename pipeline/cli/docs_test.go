package cli

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"metalora/convai2"
	"metalora/onnx"
	"metalora/pipeline/corpus"
)

// TestDocs runs every command in a block of README and docs, a page's in order, in a folder where the names that the pages use stand
// for small things: a model of two layers, made-up dialogues. Three kinds are not run as they stand. What fetches from the net, and what
// takes minutes and has tests of its own (demo, linear, bench), is asked for help with its flags, which fails where a verb or a flag is
// wrong. `run` becomes `plan`, which reads and checks the same configuration, and `submit` prints what it would send.
func TestDocs(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) < 8 {
		t.Fatalf("%d pages (%v)", len(pages), err)
	}
	texts := map[string]string{}
	for _, page := range append(pages, "../../README.md") {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(page)] = string(data)
	}
	files, err := filepath.Abs("../../configs")
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	t.Chdir(work)
	t.Setenv("HF_HUB_OFFLINE", "1")
	furnish(t, files)
	pulled(t)
	ran := 0
	for name, text := range texts {
		for _, block := range blocks.FindAllStringSubmatch(text, -1) {
			if file, ok := strings.CutPrefix(block[2], "# "); ok && block[1] == "yaml" {
				file, _, _ = strings.Cut(file, "\n")
				must(t, os.WriteFile(file, []byte(block[2]), 0o666))
			}
			for _, line := range strings.Split(block[2], "\n") {
				if words := command(line); words != nil && block[1] == "" {
					ran++
					runCommand(t, name, words)
				}
			}
		}
	}
	if ran < 25 {
		t.Errorf("%d commands were found, so the pages are not read rightly", ran)
	}
}

var blocks = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```")

// command is a line's words after the program's name, without a comment; nil where the line is none of ours. Quotes hold words
// together; no page needs more of a shell.
func command(line string) []string {
	line, _, _ = strings.Cut(line, "  #")
	words := strings.Fields(line)
	if len(words) < 2 || words[0] != "metalora" && words[0] != "bin/metalora" {
		return nil
	}
	for i, w := range words {
		words[i] = strings.Trim(w, "'\"")
	}
	return words[1:]
}

// runCommand runs a command, with standard input where the page redirects it.
func runCommand(t *testing.T, page string, words []string) {
	t.Helper()
	stdin := ""
	if i := slices.Index(words, "<"); i >= 0 {
		data, err := os.ReadFile(words[i+1])
		must(t, err)
		stdin, words = string(data), words[:i]
	}
	if i := slices.Index(words, ">"); i >= 0 {
		words = words[:i]
	}
	args := slices.Clone(words)
	switch {
	case slices.Contains([]string{"demo", "linear", "bench"}, words[0]) || len(words) > 1 && words[1] == "pull":
		args = append(args, "--help")
	case words[0] == "run":
		args[0] = "plan"
	case words[0] == "submit":
		args = append(args, "--dry-run")
	}
	for i, w := range args[:len(args)-1] { // what an earlier command of the pages wrote
		if w == "-o" || w == "--adapter-out" {
			for _, old := range []string{"", "_adapter", ".data"} {
				must(t, os.RemoveAll(args[i+1]+old))
			}
		}
	}
	code, stdout, stderr := invoke(t, stdin, args...)
	if strings.Contains(strings.Join(args, " "), "cuda") && strings.Contains(stdout+stderr, "device cuda: ") {
		return // the page says that this needs a GPU
	}
	if code != 0 {
		t.Errorf("%s: metalora %s: exit code %d\n%s", page, strings.Join(words, " "), code, stderr)
	}
}

// furnish makes what the pages' commands work on.
func furnish(t *testing.T, configs string) {
	t.Helper()
	must(t, os.CopyFS("configs", os.DirFS(configs)))
	smallModel(t, "roberta-base", "my_dialogues.txt")
	must(t, os.CopyFS("DIR", os.DirFS("roberta-base")))
	must(t, os.CopyFS(".", os.DirFS("roberta-base"))) // the tokenizer beside model.onnx
	must(t, os.Remove("model.safetensors"))
	must(t, os.WriteFile("rows.jsonl", []byte("[0,5,2]\n"), 0o666))
	retrain, test, err := convai2.Generate(convai2.Synthetic{Seed: 5, Retrain: 11, Test: 11, Dialogues: 4, Turns: 2, Candidates: 5})
	must(t, err)
	for part, dialogues := range map[string][]*convai2.Dialogue{"train": retrain, "valid": test} {
		writeSplit(t, part, dialogues)
	}
	succeed(t, "model", "export", "DIR", "-o", "model.onnx")
	must(t, vision().WriteFile("vision.onnx"))
	must(t, os.WriteFile("experiment.yaml", []byte(experimentYAML), 0o666))
	for _, adapter := range []string{"my_adapter", "a", "b", "c"} {
		succeed(t, "tune", "--model", "DIR", "--data", "my_dialogues.txt", "--adapter-out", adapter, "--set", "adapt.epochs=1", "--quiet")
	}
}

const experimentYAML = `
data: {valid: my_dialogues.txt, valid_personas: none}
tasks: {retrain: {file: valid, ranks: [2], held_out: 1}, test: {file: valid, ranks: [1], held_out: 1}}
`

// pulled puts both parts where 'data pull convai2' leaves them, in a cache of their own; the library stays where it is.
func pulled(t *testing.T) {
	t.Helper()
	var d diagnosis
	must(t, json.Unmarshal([]byte(succeed(t, "doctor", "--json")), &d))
	t.Setenv("METALORA_ORT", d.Library.Path)
	cache := t.TempDir()
	for _, name := range []string{"XDG_CACHE_HOME", "HOME", "LocalAppData"} { // Linux, macOS (below it), Windows
		t.Setenv(name, cache)
	}
	dir, err := corpus.ConvAI2.Dir()
	must(t, err)
	for _, pattern := range []string{"*_self_original.txt", "*_persona_map.json"} {
		files, err := filepath.Glob(pattern)
		must(t, err)
		for _, file := range files {
			data, err := os.ReadFile(file)
			must(t, errors.Join(err, os.MkdirAll(dir, 0o777)))
			must(t, os.WriteFile(filepath.Join(dir, file), data, 0o666))
		}
	}
}

// writeSplit writes a part of ConvAI2 under its official name, with its persona map.
func writeSplit(t *testing.T, part string, dialogues []*convai2.Dialogue) {
	t.Helper()
	out, err := os.Create(part + "_self_original.txt")
	must(t, err)
	must(t, errors.Join(convai2.Write(out, dialogues), out.Close()))
	pm, err := convai2.NewPersonaMap(dialogues)
	must(t, err)
	file, err := os.Create(part + "_persona_map.json")
	must(t, err)
	_, err = pm.WriteTo(file)
	must(t, errors.Join(err, file.Close()))
}

// vision is a graph with an attention's and a head's weight, and a loss.
func vision() *onnx.Model {
	m := onnx.NewModel(&onnx.Graph{Name: "vision"})
	b := onnx.NewBuilder(m.Graph)
	b.Input("pixels", onnx.Float, "rows", 2)
	for _, name := range []string{"block.attention.query.weight", "head.weight"} {
		w := onnx.Floats([]int64{2, 2}, 0.5, -1, 0.25, 2)
		w.Name = name
		m.Graph.Initializers = append(m.Graph.Initializers, w)
	}
	x := b.Op("MatMul", []string{"pixels", "block.attention.query.weight"})
	b.Named("loss", "ReduceMean", []string{b.Op("MatMul", []string{x, "head.weight"})}, onnx.IntAttr("keepdims", 0))
	b.Output("loss", onnx.Float)
	return m
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
