package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cached puts nano-roberta into an empty cache of the hub, as Python lays it out, and forbids asking the hub.
func cached(t *testing.T) (snapshot string) {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HF_HOME", home)
	t.Setenv("HF_HUB_CACHE", "")
	t.Setenv("HF_HUB_OFFLINE", "1")
	const commit = "89abcdef0123456789abcdef0123456789abcdef"
	repo := filepath.Join(home, "hub", "models--org--nano")
	snapshot = filepath.Join(repo, "snapshots", commit)
	for _, dir := range []string{"refs", "snapshots/" + commit} {
		if err := os.MkdirAll(filepath.Join(repo, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	copyFolder(t, filepath.Join(repo, "blobs"), nano)
	for _, name := range []string{"config.json", "model.safetensors"} {
		if err := os.Symlink("../../blobs/"+name, filepath.Join(snapshot, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(repo, "refs", "main"), []byte(commit), 0o600); err != nil {
		t.Fatal(err)
	}
	return snapshot
}

// dialogues sets two files of dialogues without persona maps.
func dialogues(t *testing.T) (sets []string) {
	t.Helper()
	for _, name := range []string{"train", "valid"} {
		path := filepath.Join(t.TempDir(), name+".txt")
		if err := os.WriteFile(path, []byte("1 your persona: i like tea.\n2 hello\thi\t\thi|no\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		sets = append(sets, "--set", "data."+name+"="+path, "--set", "data."+name+"_personas=none")
	}
	return sets
}

// TestNamesOfTheCache finds a model by its name wherever a folder is asked for.
func TestNamesOfTheCache(t *testing.T) {
	snapshot := cached(t)
	var pulled struct {
		Path    string
		Files   []string
		Fetched int
	}
	if err := json.Unmarshal([]byte(succeed(t, "model", "pull", "org/nano", "--json")), &pulled); err != nil {
		t.Fatal(err)
	}
	if pulled.Path != snapshot || len(pulled.Files) != 2 || pulled.Fetched != 0 {
		t.Errorf("%+v", pulled)
	}
	ids := filepath.Join(t.TempDir(), "ids.jsonl")
	if err := os.WriteFile(ids, []byte("[0,5,2]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := succeed(t, "logits", "--model", nano, "--ids", ids, "--json")
	if got := succeed(t, "logits", "--model", "org/nano", "--ids", ids, "--json"); got != want {
		t.Errorf("logits by name: %s, by folder: %s", got, want)
	}
	if got := succeed(t, "model", "inspect", "org/nano"); !strings.Contains(got, "RobertaForSequenceClassification") {
		t.Errorf("inspect: %s", got)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"not in the cache":  {[]string{"logits", "--model", "org/other", "--ids", ids}, 3, "metalora model pull org/other"},
		"offline":           {[]string{"model", "pull", "org/other"}, 3, "HF_HUB_OFFLINE"},
		"no name":           {[]string{"model", "pull", "a/b/c"}, 2, "ORG/NAME"},
		"in an experiment":  {append([]string{"plan", "../../configs/convai2.yaml", "--set", "model.path=org/other"}, dialogues(t)...), 3, "metalora model pull org/other"},
		"another revision":  {[]string{"logits", "--model", "org/nano@v2", "--ids", ids}, 3, `revision "v2"`},
		"a path with a dot": {[]string{"logits", "--model", "./org/nano", "--ids", ids}, 3, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := invoke(t, "", c.args...)
			if code != c.code || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, want %d; message, which should have %q:\n%s", code, c.code, c.want, stderr)
			}
		})
	}
}
