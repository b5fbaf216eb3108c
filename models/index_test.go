package models

import (
	"path/filepath"
	"strings"
	"testing"
)

// FuzzParseIndex: whatever an index says, no name that it gives leads out of the model's folder.
func FuzzParseIndex(f *testing.F) {
	for _, text := range []string{`{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"x.safetensors"}}`, `{"weight_map":{"a":"../x.safetensors"}}`,
		`{"weight_map":{"a":"x","a":"y"}}`, `{"weight_map":null}`, `{"WEIGHT_MAP":{"":"..\\x.safetensors"}}`, `[`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		shards, err := parseIndex(data)
		if (err == nil) != (len(shards) > 0) {
			t.Errorf("shards %q with error %v", shards, err)
		}
		for _, name := range shards {
			if !filepath.IsLocal(name) || filepath.Base(name) != name || !strings.HasSuffix(name, ".safetensors") {
				t.Errorf("%q passed", name)
			}
		}
	})
}
