package hub

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/pipeline/fault"
)

func TestParseName(t *testing.T) {
	for text, want := range map[string]Name{
		"roberta-base":            {"roberta-base", "main"},
		"FacebookAI/roberta-base": {"FacebookAI/roberta-base", "main"},
		"a/b@v1.0":                {"a/b", "v1.0"},
		"a/b@refs/pr/3":           {"a/b", "refs/pr/3"},
	} {
		got, err := ParseName(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		if again, err := ParseName(got.String()); err != nil || again != got {
			t.Errorf("%s is written as %s", text, got)
		}
	}
	for _, text := range []string{"", "/", "a/b/c", "../x", "a/..", "a--b", "a b", "a@", "a@../x", "a@x/../y", "-a", ".", "a/b.git", "ü", strings.Repeat("a", 97)} {
		if got, err := ParseName(text); fault.Code(err) != fault.CodeUsage {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

// FuzzParseName holds names to what keeps them inside the cache.
func FuzzParseName(f *testing.F) {
	for _, text := range []string{"roberta-base", "a/b@v1", "../..", "a@refs/pr/1", "a/b@..", `a\b`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := ParseName(text)
		if err != nil {
			return
		}
		if strings.ContainsAny(name.folder(), `/\`) || !filepath.IsLocal(name.folder()) || !filepath.IsLocal(name.Revision) {
			t.Errorf("%q leads to %q, revision %q", text, name.folder(), name.Revision)
		}
		if again, err := ParseName(name.String()); err != nil || again != name {
			t.Errorf("%q is written as %q: %v", text, name, err)
		}
	})
}

func TestFromEnvironment(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "token"), []byte("hf_saved\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	none := map[string]string{"HF_HOME": "", "HF_HUB_CACHE": "", "HUGGINGFACE_HUB_CACHE": "", "HF_ENDPOINT": "", "HF_TOKEN": "", "HUGGING_FACE_HUB_TOKEN": "",
		"HF_TOKEN_PATH": "", "HF_HUB_OFFLINE": "", "TRANSFORMERS_OFFLINE": "", "XDG_CACHE_HOME": "", "HOME": "/home/u"}
	for name, c := range map[string]struct {
		set  map[string]string
		want Settings
	}{
		"nothing":    {nil, Settings{Cache: "/home/u/.cache/huggingface/hub", Endpoint: DefaultEndpoint}},
		"xdg":        {map[string]string{"XDG_CACHE_HOME": "/c"}, Settings{Cache: "/c/huggingface/hub", Endpoint: DefaultEndpoint}},
		"home":       {map[string]string{"HF_HOME": home}, Settings{Cache: home + "/hub", Endpoint: DefaultEndpoint, Token: "hf_saved"}},
		"hub cache":  {map[string]string{"HF_HOME": home, "HF_HUB_CACHE": "~/x", "HF_TOKEN": "t"}, Settings{Cache: "/home/u/x", Endpoint: DefaultEndpoint, Token: "t"}},
		"mirror":     {map[string]string{"HF_ENDPOINT": "https://m.example/"}, Settings{Cache: "/home/u/.cache/huggingface/hub", Endpoint: "https://m.example"}},
		"offline":    {map[string]string{"HF_HUB_OFFLINE": "1"}, Settings{Cache: "/home/u/.cache/huggingface/hub", Endpoint: DefaultEndpoint, Offline: true}},
		"offline no": {map[string]string{"HF_HUB_OFFLINE": "0"}, Settings{Cache: "/home/u/.cache/huggingface/hub", Endpoint: DefaultEndpoint}},
	} {
		t.Run(name, func(t *testing.T) {
			for key, value := range none {
				t.Setenv(key, value)
			}
			for key, value := range c.set {
				t.Setenv(key, value)
			}
			if d := cmp.Diff(c.want, FromEnvironment()); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestChoose(t *testing.T) {
	for name, c := range map[string]struct{ names, want []string }{
		"one file before shards": {[]string{"config.json", "model.safetensors", indexFile, "model-00001-of-00002.safetensors", "flax_model.msgpack"},
			[]string{"config.json", "model.safetensors"}},
		"shards": {[]string{"config.json", indexFile, "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model-../x.safetensors"},
			[]string{"config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", indexFile}},
		"adapter": {[]string{"adapter_config.json", "adapter_model.safetensors", "README.md"}, []string{"adapter_config.json", "adapter_model.safetensors"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := choose(c.names)
			if d := cmp.Diff(c.want, got); err != nil || d != "" {
				t.Errorf("%v %s", err, d)
			}
		})
	}
}

// TestShards misses a shard that the index names.
func TestShards(t *testing.T) {
	files := map[string]stored{"config.json": {data: []byte("{}")}, indexFile: {data: []byte(`{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}`)},
		"model-00001-of-00002.safetensors": {data: []byte("one"), large: true}}
	s := serve(t, &server{repo: "tiny", files: files})
	c := s.client(t.TempDir())
	if _, err := c.Pull(t.Context(), Name{"tiny", "main"}, &told{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Find(Name{"tiny", "main"}); err == nil || !strings.Contains(err.Error(), "model-00002-of-00002.safetensors") {
		t.Errorf("%v", err)
	}
	s.files["model-00002-of-00002.safetensors"] = stored{data: []byte("two"), large: true}
	if got, err := c.Pull(t.Context(), Name{"tiny", "main"}, &told{}); err != nil || got.Fetched != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := c.Find(Name{"tiny", "main"}); err != nil {
		t.Error(err)
	}
}

// FuzzDescription: whatever a server says, the files that are chosen lie in the snapshot and the blobs in their folder.
func FuzzDescription(f *testing.F) {
	f.Add([]byte(`{"sha":"` + commit + `","siblings":[{"rfilename":"config.json","size":2,"blobId":"` + commit + `"},{"rfilename":"model.safetensors","lfs":{"sha256":"x","size":3}}]}`))
	f.Add([]byte(`{"sha":"..","siblings":[{"rfilename":"../config.json"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := parseDescription(data)
		if err != nil {
			return
		}
		files, err := choose(d.names())
		if err != nil {
			return
		}
		c := NewClient(Settings{Cache: "/cache", Endpoint: "http://127.0.0.1:9"})
		c.Download.Attempts = 1
		for _, name := range files {
			if strings.ContainsAny(name, `/\\`) || !filepath.IsLocal(name) {
				t.Errorf("%q was chosen", name)
			}
			file, err := c.file(t.Context(), Name{"tiny", "main"}, d, name)
			if err == nil && filepath.Dir(file.Path) != "/cache/models--tiny/blobs" {
				t.Errorf("%q goes to %s", name, file.Path)
			}
		}
	})
}
