package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
)

// manifests are the lists of what a finished unit or a checkpoint holds.
func manifests() []attack {
	var all []attack
	var says string // what a problem is said of, where the manifest itself is in order
	add := func(name, want, text string) {
		all = append(all, attack{says: says, room: "pipeline", name: "manifest-" + name + ".json", data: []byte(text), verb: []string{"verify", "PATH"},
			base: "pipeline/testdata/hostile-unit", as: "manifest.json", code: 3, want: want})
	}
	add("empty", "unexpected end of JSON", "")
	add("sum-wrong", "its own sum does not fit", strings.Replace(signed("results.json", 3), `"format": 1`, `"format": 2`, 1))
	add("twice", `key "results.json" comes twice`, `{"format":1,"files":{"results.json":{},"results.json":{}},"sum":""}`)
	add("deep", "nested deeper than 100", strings.Repeat("[", 5000))
	says = "../../secret"
	add("up", "path escapes from parent", signed("../../secret", 3))
	says = "/etc/passwd"
	add("absolute", "path escapes from parent", signed("/etc/passwd", 3))
	says = "a\\u0000b"
	add("nul", "invalid argument", signed("a\x00b", 3))
	says = "metrics.jsonl"
	add("file-missing", "it is missing", signed("metrics.jsonl", 3))
	says = "results.json"
	add("file-larger", "the manifest says 1000000000000", signed("results.json", 1e12))
	says = "results.json"
	add("file-other", "its SHA-256 is", signed("results.json", 3))
	return all
}

// manifest is what seals a folder of a run.
type manifest struct {
	Format      int               `json:"format"`
	Environment map[string]string `json:"environment,omitempty"`
	Files       map[string]mark   `json:"files"`
	Sum         string            `json:"sum"`
}

type mark struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// unknownSum stands where no sum is computed.
var unknownSum = strings.Repeat("0", 64)

// sealed is the manifest as a file, with its own sum right, as anybody can make it.
func (m manifest) sealed() []byte {
	encode := func() []byte {
		data, err := json.MarshalIndent(m, "", "  ")
		if err != nil {
			panic(err) // numbers and strings
		}
		return data
	}
	m.Sum = ""
	sum := sha256.Sum256(encode())
	m.Sum = hex.EncodeToString(sum[:])
	return append(encode(), '\n')
}

// signed is a manifest of one file.
func signed(name string, size int64) string {
	return string(manifest{Format: 1, Files: map[string]mark{name: {size, unknownSum}}}.sealed())
}
