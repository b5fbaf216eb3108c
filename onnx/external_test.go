package onnx

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"metalora/onnx/onnxpb"
)

// externalModel writes a model whose one tensor, two floats, lies where the entries say.
func externalModel(t *testing.T, dir string, tensors ...[]string) string {
	t.Helper()
	p := onnxModel(func(g *onnxpb.GraphProto) {
		for _, entries := range tensors {
			w := &onnxpb.TensorProto{Name: proto.String("weight"), DataType: proto.Int32(int32(Float)), Dims: []int64{2},
				DataLocation: onnxpb.TensorProto_EXTERNAL.Enum()}
			for _, e := range entries {
				key, value, _ := strings.Cut(e, "=")
				w.ExternalData = append(w.ExternalData, &onnxpb.StringStringEntryProto{Key: proto.String(key), Value: proto.String(value)})
			}
			g.Initializer = append(g.Initializer, w)
		}
	})
	data, err := proto.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "model.onnx")
	write(t, path, string(data))
	return path
}

func write(t *testing.T, path, data string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

var externalCases = []struct {
	name    string
	tensors [][]string
	want    string // part of the error; empty: the data is ABCDEFGH
}{
	{"whole", [][]string{{"location=w.bin", "offset=4", "length=8", "checksum=x"}}, ""},
	{"no length", [][]string{{"location=./w.bin", "offset=4"}}, ""},
	{"shared", [][]string{{"location=w.bin", "offset=4"}, {"location=w.bin", "offset=4"}}, ""},
	{"overlapping", [][]string{{"location=w.bin", "offset=4"}, {"location=w.bin", "offset=3"}}, "overlap"},
	{"too short", [][]string{{"location=w.bin", "offset=5"}}, "12 bytes, want 8 from byte 5"},
	{"far offset", [][]string{{"location=w.bin", "offset=9223372036854775807"}}, "12 bytes"},
	{"negative offset", [][]string{{"location=w.bin", "offset=-4"}}, `"-4"`},
	{"no number", [][]string{{"location=w.bin", "offset=four"}}, `"four"`},
	{"other length", [][]string{{"location=w.bin", "length=4"}}, "4 bytes, want 2 float"},
	{"no location", [][]string{{"offset=4"}}, "names no file"},
	{"missing file", [][]string{{"location=gone.bin"}}, "gone.bin"},
	{"folder", [][]string{{"location=."}}, "not a regular file"},
	{"outside", [][]string{{"location=../secret"}}, "leads out of the folder"},
	{"absolute", [][]string{{"location=/etc/hostname"}}, "leads out of the folder"},
	{"link to outside", [][]string{{"location=link"}}, "link that leads out of its folder"},
}

func TestExternalData(t *testing.T) {
	outside := t.TempDir()
	dir := filepath.Join(outside, "model")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "w.bin"), "xxxxABCDEFGH")
	write(t, filepath.Join(outside, "secret"), "12345678")
	if err := os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, c := range externalCases {
		t.Run(c.name, func(t *testing.T) {
			m, err := ReadFile(externalModel(t, dir, c.tensors...))
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "weight") {
					t.Errorf("error %v, want one that names the tensor and says %q", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range m.Graph.Initializers {
				if string(w.Raw) != "ABCDEFGH" {
					t.Errorf("data %q", w.Raw)
				}
			}
		})
	}
}

func TestDataFiles(t *testing.T) {
	dir := t.TempDir()
	path := externalModel(t, dir, []string{"location=w.bin"}, []string{"location=./w.bin"}, []string{"location=more/v.bin"}, []string{"location=../out"})
	files, err := DataFiles(path)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"w.bin", filepath.Join("more", "v.bin")}
	if !slices.Equal(files, want) {
		t.Errorf("%v, want %v", files, want)
	}
}
