package safetensors

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// file writes a safetensors file of any header and data.
func file(t testing.TB, header string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.safetensors")
	raw := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
	if err := os.WriteFile(path, append(raw, data...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSaveLoadRoundTrip(t *testing.T) {
	want := Tensors{
		"b.weight":    {[]int{2, 3}, []float32{1, -2, 3, 0, math.MaxFloat32, math.SmallestNonzeroFloat32}},
		"a <&> \"é\"": {[]int{}, []float32{7}},
		"empty":       {[]int{0, 5}, []float32{}},
		"large":       {[]int{300_000}, make([]float32, 300_000)}, // several pieces of the file
	}
	want["large"].Data[299_999] = 1.5
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := Save(path, want, map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if diff := cmp.Diff(map[string]string{"format": "pt"}, f.Metadata()); diff != "" {
		t.Error(diff)
	}
	for _, info := range f.Infos() {
		if info.Offset%4 != 0 || f.Infos()[0].Offset%8 != 0 {
			t.Errorf("%s starts at byte %d", info.Name, info.Offset)
		}
	}
}

// TestReadsPyTorchsFile reads a file that the reference implementation wrote and writes the same bytes.
func TestReadsPyTorchsFile(t *testing.T) {
	const path = "../testdata/nano-roberta/model.safetensors"
	tensors, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "x.safetensors")
	if err := Save(copied, tensors, map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
	want, errWant := os.ReadFile(path)
	got, errGot := os.ReadFile(copied)
	if errWant != nil || errGot != nil || string(want) != string(got) {
		t.Errorf("%d bytes written, %d read; %v, %v", len(got), len(want), errGot, errWant)
	}
}

func TestFloatTypes(t *testing.T) {
	for name, c := range map[string]struct {
		header string
		data   []byte
		want   []float32
	}{
		"F16": {`{"x":{"dtype":"F16","shape":[6],"data_offsets":[0,12]}}`,
			[]byte{0x00, 0x3c, 0x00, 0xc0, 0xff, 0x7b, 0x01, 0x00, 0x00, 0x04, 0x00, 0x80}, []float32{1, -2, 65504, 0x1p-24, 0x1p-14, 0}},
		"BF16": {`{"x":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}`, []byte{0x80, 0x3f, 0x49, 0xc0}, []float32{1, -3.140625}},
		"F64": {`{"x":{"dtype":"F64","shape":[],"data_offsets":[0,8]}}`,
			binary.LittleEndian.AppendUint64(nil, math.Float64bits(0.1)), []float32{0.1}},
	} {
		t.Run(name, func(t *testing.T) {
			tensors, err := Load(file(t, c.header, c.data))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, tensors["x"].Data); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLoadRefusesNumbers(t *testing.T) {
	for name, bits := range map[string]uint32{"NaN": 0x7fc00000, "+Inf": 0x7f800000, "-Inf": 0xff800000} {
		t.Run(name, func(t *testing.T) {
			data := binary.LittleEndian.AppendUint32(make([]byte, 8), bits)
			path := file(t, `{"w":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}`, data)
			_, err := Load(path)
			want := path + `: tensor "w": element 2 is ` + name
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}

func TestOpenRefusesHeaders(t *testing.T) {
	four := make([]byte, 4)
	for name, c := range map[string]struct {
		header string
		data   []byte
		want   string
	}{
		"empty":            {"", nil, "does not start with '{'"},
		"blank first":      {" {}", nil, "does not start with '{'"},
		"a list":           {"[]", nil, "does not start with '{'"},
		"cut off":          {`{"a":`, nil, "not one JSON object"},
		"two objects":      {`{}{}`, nil, "not one JSON object"},
		"bytes behind":     {"{}\x00", nil, "not one JSON object"},
		"not UTF-8":        {"{\"\xff\":1}", nil, "not UTF-8"},
		"not a tensor":     {`{"a":1}`, nil, `"a": found 1`},
		"name twice":       {`{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}`, nil, `key "a" comes twice`},
		"escaped twice":    {`{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"\u0061":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}`, nil, `key "a" comes twice`},
		"field twice":      {`{"a":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,4]}}`, four, `key "dtype" comes twice`},
		"metadata twice":   {`{"__metadata__":{"a":"1","a":"2"}}`, nil, `key "a" comes twice`},
		"metadata number":  {`{"__metadata__":{"a":1}}`, nil, "found 1 where a string is due"},
		"unknown type":     {`{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}`, four, `unknown dtype "F31"`},
		"type missing":     {`{"a":{"shape":[1],"data_offsets":[0,4]}}`, four, `unknown dtype ""`},
		"shape missing":    {`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, four, "needs a shape"},
		"offsets missing":  {`{"a":{"dtype":"F32","shape":[1]}}`, four, "needs a shape"},
		"three offsets":    {`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}`, four, "needs a shape"},
		"negative size":    {`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, four, "found -1 where a size is due"},
		"broken size":      {`{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}`, four, "found 1.0 where a size is due"},
		"huge size":        {`{"a":{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,4]}}`, four, "where a size is due"},
		"product too big":  {`{"a":{"dtype":"F32","shape":[4294967296,4294967297],"data_offsets":[0,4]}}`, four, "more elements than can be counted"},
		"bytes too many":   {`{"a":{"dtype":"F64","shape":[2305843009213693953],"data_offsets":[0,8]}}`, make([]byte, 8), "does not fit its 8 bytes"},
		"size disagrees":   {`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, four, "does not fit its 4 bytes"},
		"half a byte":      {`{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}`, []byte{0}, "does not fit its 1 bytes"},
		"backwards":        {`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, four, "run backwards"},
		"hole before":      {`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, make([]byte, 8), `"a": starts at byte 4 of the data, want 0`},
		"hole between":     {`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}`, make([]byte, 12), `"b": starts at byte 8 of the data, want 4`},
		"overlap":          {`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}`, make([]byte, 6), `"b": starts at byte 2 of the data, want 4`},
		"same place":       {`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, four, `"b": starts at byte 0 of the data, want 4`},
		"beyond the end":   {`{"a":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4000000000]}}`, four, "the file has 4"},
		"data left over":   {`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, make([]byte, 5), "tensors end at byte 4 of the data, the file has 5"},
		"no tensor at all": {`{}`, four, "tensors end at byte 0 of the data, the file has 4"},
		"many dimensions":  {`{"a":{"dtype":"U8","shape":[` + strings.Repeat("1,", 64) + `1],"data_offsets":[0,1]}}`, []byte{0}, "more than 64 dimensions"},
	} {
		t.Run(name, func(t *testing.T) {
			path := file(t, c.header, c.data)
			_, err := Open(path)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want an error with %q and the path", err, c.want)
			}
		})
	}
}

func TestOpenAccepts(t *testing.T) {
	for name, header := range map[string]string{
		"blanks at the end": `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}    `,
		"empty tensors":     `{"z":{"dtype":"F32","shape":[0],"data_offsets":[4,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[3,0],"data_offsets":[0,0]}}`,
		"an unknown field":  `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":{"x":[1]}}}`,
		"any order":         `{"b":{"dtype":"F16","shape":[1],"data_offsets":[2,4]},"a":{"dtype":"I8","shape":[2],"data_offsets":[0,2]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Open(file(t, header, make([]byte, 4)))
			if err != nil {
				t.Fatal(err)
			}
			f.Close()
		})
	}
}

func TestOpenRefusesFiles(t *testing.T) {
	dir := t.TempDir()
	long := filepath.Join(dir, "long")
	if err := os.WriteFile(long, binary.LittleEndian.AppendUint64(nil, 1<<62), 0o600); err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(dir, "short")
	if err := os.WriteFile(short, []byte{1, 2, 3}, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir: "not a regular file", filepath.Join(dir, "none"): "no such file", short: "3 bytes are too few",
		long: "header of 4611686018427387904 bytes, the file has 0",
	} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v, want an error with %q and the path", err, want)
		}
	}
}

func TestReadRefusesNamesAndTypes(t *testing.T) {
	f, err := Open(file(t, `{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}`, make([]byte, 8)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Float32("b"); err == nil || !strings.Contains(err.Error(), `no tensor "b"`) {
		t.Errorf("got %v", err)
	}
	if _, err := f.Float32("a"); err == nil || !strings.Contains(err.Error(), `tensor "a": dtype I64, want one of [BF16 F16 F32 F64]`) {
		t.Errorf("got %v", err)
	}
	if x, err := f.Int64("a"); err != nil || len(x) != 1 {
		t.Errorf("got %v, %v", x, err)
	}
}

func TestSaveRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		tensors Tensors
		want    string
	}{
		"shape":     {Tensors{"w": {[]int{3}, []float32{1}}}, `tensor "w": shape [3] does not fit 1 elements`},
		"metadata":  {Tensors{"__metadata__": {[]int{1}, []float32{1}}}, "no room for this name"},
		"not UTF-8": {Tensors{"\xff": {[]int{1}, []float32{1}}}, "no room for this name"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			err := Save(filepath.Join(dir, "x"), c.tensors, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("%v was left behind", left)
			}
		})
	}
}

// FuzzParseHeader looks for a panic, and for a header that passes although a tensor lies outside the data.
func FuzzParseHeader(f *testing.F) {
	f.Add([]byte(`{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}  `), int64(4))
	f.Add([]byte(`{"a":{"dtype":"BOOL","shape":[],"data_offsets":[0,1]},"b":{"dtype":"F4","shape":[0,2],"data_offsets":[1,1]}}`), int64(1))
	f.Add([]byte(`{"a":{"dtype":"F64","shape":[9223372036854775807,2],"data_offsets":[0,9223372036854775807]}}`), int64(0))
	f.Add([]byte(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":[{}]},"a":0}`), int64(1))
	f.Fuzz(func(t *testing.T, raw []byte, buffer int64) {
		infos, _, err := parseHeader(raw, buffer)
		if err != nil {
			return
		}
		sum := int64(0)
		for _, info := range infos {
			if info.Bytes < 0 || info.Offset != sum {
				t.Errorf("%s passed at %d with %d bytes", info.Name, info.Offset, info.Bytes)
			}
			sum += info.Bytes
		}
		if sum != buffer {
			t.Errorf("%d of %d bytes are covered", sum, buffer)
		}
	})
}
