//go:build unix

package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// kept is an attack that cannot lie in a repository: what is there is made by stage, at the path of its file.
type kept struct {
	attack
	make func(path string) error
}

// readers has an attack without data for each kind of file that is read.
func readers() []attack {
	inspect, tokenize := []string{"model", "inspect", "PATH"}, []string{"tokenize", "--model", "PATH"}
	return []attack{
		{name: "alone.safetensors", verb: inspect},
		{name: "alone.onnx", verb: inspect},
		{name: "config", verb: inspect, base: model, as: "config.json"},
		{name: "weights", verb: inspect, base: model, as: "model.safetensors"},
		{name: "index", verb: inspect, base: model, as: "model.safetensors.index.json", without: []string{"model.safetensors"}},
		{name: "adapter config", verb: inspect, base: adapter, as: "adapter_config.json", says: "adapter"},
		{name: "adapter weights", verb: inspect, base: adapter, as: "adapter_model.safetensors"},
		{name: "vocabulary", verb: tokenize, base: tokenizer, as: "vocab.json"},
		{name: "merges", verb: tokenize, base: tokenizer, as: "merges.txt"},
		{name: "tokenizer", verb: tokenize, base: tokenizer, as: "tokenizer.json"},
		{name: "special", verb: tokenize, base: tokenizer, as: "special_tokens_map.json"},
		{name: "talk.txt", verb: []string{"data", "tasks", "PATH"}},
		{name: "map.json", verb: []string{"data", "tasks", "GOOD", "--personas", "PATH"}},
		{name: "settings.yaml", verb: []string{"plan", "PATH"}},
		{name: "manifest", verb: []string{"verify", "PATH"}, base: "pipeline/testdata/hostile-unit", as: "manifest.json"},
	}
}

// TestStaged: named pipes, devices and folders where files belong, files of holes, and links out of folders.
func TestStaged(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("{}"), 0o666); err != nil {
		t.Fatal(err)
	}
	kinds := []struct {
		name string
		make func(path string) error
	}{
		{"pipe", func(path string) error { return syscall.Mkfifo(path, 0o666) }},
		{"folder", func(path string) error { return os.Mkdir(path, 0o777) }},
		{"device", func(path string) error { return os.Symlink("/dev/zero", path) }},
		{"holes", func(path string) error { return hole(path, nil, 1<<40) }},
		{"link", func(path string) error { return os.Symlink(secret, path) }},
	}
	for _, kind := range kinds {
		for _, a := range readers() {
			if kind.name == "link" && a.base == "" {
				continue // a file that a person names is opened where it leads
			}
			a.code = 3
			t.Run(kind.name+"/"+a.name, func(t *testing.T) { kept{a, kind.make}.refused(t) })
		}
	}
}

// refused puts what cannot be kept in place of the staged file.
func (k kept) refused(t *testing.T) {
	t.Helper()
	at := k.attack.stage(t)
	path := at
	if k.base != "" {
		path = filepath.Join(at, k.as)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := k.make(path); err != nil {
		t.Skipf("this file system cannot hold it: %v", err)
	}
	k.attack.refused(t, at)
}

// hole makes a file that begins with data and has holes up to a size.
func hole(path string, data []byte, size int64) error {
	if err := os.WriteFile(path, data, 0o666); err != nil {
		return err
	}
	return os.Truncate(path, size)
}

// TestBombs: files that grow when they are read. They are too large for a repository, and quickly made.
func TestBombs(t *testing.T) {
	inspect, tokenize := []string{"model", "inspect", "PATH"}, []string{"tokenize", "--model", "PATH"}
	repeat := func(start, part string, n int, end string) func(string) error {
		return func(path string) error { return os.WriteFile(path, []byte(start+strings.Repeat(part, n)+end), 0o666) }
	}
	wide := `{"a":{"dtype":"F32","shape":[250000000000],"data_offsets":[0,1000000000000]}}`
	for _, k := range []kept{
		{attack{name: "header.safetensors", verb: inspect, want: "header of 9000000 bytes"}, func(path string) error {
			return hole(path, binary.LittleEndian.AppendUint64(nil, 9_000_000), 10_000_000)
		}},
		{attack{name: "tensors.safetensors", verb: inspect, want: "comes twice"}, func(path string) error {
			return os.WriteFile(path, file("{"+strings.Repeat(tensor("a", "U8", "0", 0, 0)+",", 100_000)+`"b":1}`), 0o666)
		}},
		{attack{name: "terabyte", verb: inspect, base: model, as: "model.safetensors", want: "is missing"}, func(path string) error {
			return hole(path, file(wide), 8+int64(len(wide))+1e12)
		}},
		{attack{name: "nodes.onnx", verb: inspect, want: "so many tiny parts"}, repeatGraph(message{1<<3 | 2, 0}, 200_000)},
		{attack{name: "holes-in-graph.onnx", verb: inspect, want: "decoding protobuf"}, func(path string) error {
			return hole(path, append(message{modelGraph<<3 | 2}, binary.AppendUvarint(nil, 2_000_000_000)...), 2_000_000_006)
		}},
		{attack{name: "holes-in-weight.onnx", verb: inspect, want: "want 1 float"}, func(path string) error {
			w := append(number(tensorType, kindOfFloat), number(tensorDims, 1)...)
			w = binary.AppendUvarint(append(w, tensorRaw<<3|2), 1_999_000_000)
			w = append(binary.AppendUvarint(message{graphInitializer<<3 | 2}, uint64(len(w))+1_999_000_000), w...)
			g := append(binary.AppendUvarint(message{modelGraph<<3 | 2}, uint64(len(w))+1_999_000_000), w...)
			return hole(path, g, int64(len(g))+1_999_000_000)
		}},
		{attack{name: "keys", verb: inspect, base: model, as: "config.json", want: "more than 100000 entries"}, repeat(`{"a":[`, "[],", 500_000, "[]]}")},
		{attack{name: "index", verb: inspect, base: model, as: "model.safetensors.index.json", without: []string{"model.safetensors"}, want: "more than 150000 entries"},
			repeat(`{"weight_map":[`, "{},", 2_000_000, "0]}")},
		{attack{name: "entries", verb: tokenize, base: tokenizer, as: "vocab.json", want: "3000001 entries"}, repeat("{", `"a":1,`, 3_000_000, `"b":2}`)},
		{attack{name: "merges", verb: tokenize, base: tokenizer, as: "merges.txt", want: "10000000 lines"}, repeat("", "a\n", 10_000_000, "")},
		{attack{name: "lines", verb: tokenize, base: tokenizer, as: "vocab.txt", without: []string{"vocab.json"}, want: "lines, want at most"}, repeat("", "\n", 20_000_000, "")},
		{attack{name: "added", verb: tokenize, base: tokenizer, as: "tokenizer.json", want: "entries"}, repeat(`{"added_tokens":[`, "{},", 3_000_000, "{}]}")},
		{attack{name: "settings", verb: tokenize, base: tokenizer, as: "tokenizer_config.json", want: "more than 200000 entries"}, repeat(`{"a":[`, "[],", 1_000_000, "[]]}")},
		{attack{name: "map.json", verb: []string{"data", "tasks", "GOOD", "--personas", "PATH"}, want: "more than 400000 entries"}, repeat("[", "[],", 4_000_000, "[]]")},
		{attack{name: "line.txt", verb: []string{"data", "tasks", "PATH"}, want: ":1: line longer than 1048576 bytes"}, repeat("1 ", "x", 30_000_000, "\n")},
		{attack{name: "candidates.txt", verb: []string{"data", "tasks", "PATH"}, want: ":1: candidate 2 is empty"}, repeat("1 a\tb\t\tb", "|", 1_000_000, "\n")},
		{attack{name: "list.yaml", verb: []string{"plan", "PATH"}, want: "at most 131072 are read"}, repeat("seeds: [", "a,", 1_000_000, "a]\n")},
		{attack{name: "flow.yaml", verb: []string{"plan", "PATH"}, want: "is no whole number", code: 2}, repeat("seeds: [", "a,", 60_000, "a]\n")},
	} {
		if k.code == 0 {
			k.code = 3
		}
		t.Run(k.name, func(t *testing.T) { k.refused(t) })
	}
}

// repeatGraph is a model whose graph is one field again and again.
func repeatGraph(field message, n int) func(string) error {
	return func(path string) error {
		return os.WriteFile(path, onnxModel(message(strings.Repeat(string(field), n))), 0o666)
	}
}
