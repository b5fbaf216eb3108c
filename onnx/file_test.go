package onnx

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"metalora/onnx/onnxpb"
)

// exports lists the reference's models of several exporters. Without ../shared the rest of the tests, which run on
// testdata/external.onnx, cover the same ground.
func exports(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("../../shared/reference/onnx-exports/*.onnx")
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 && os.Getenv("CI") == "true" {
		t.Fatal("../shared/reference/onnx-exports holds no models: the checkout of the shared data is missing")
	}
	return paths
}

// zeros stands in for the weights of testdata/external.onnx.
func zeros(_ external, size int64) ([]byte, error) { return make([]byte, size), nil }

func exported(t *testing.T) *Model {
	t.Helper()
	data, err := os.ReadFile("testdata/external.onnx")
	if err != nil {
		t.Fatal(err)
	}
	m, err := unmarshal(data, zeros)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// sameBytes spares the comparison of weights byte by byte.
var sameBytes = cmp.Comparer(bytes.Equal)

func roundTrip(t *testing.T, m *Model) {
	t.Helper()
	data, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Unmarshal(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, again, sameBytes); diff != "" {
		t.Errorf("written and read again (-before +after):\n%s", diff)
	}
	second, err := again.Marshal()
	if err != nil || !bytes.Equal(data, second) {
		t.Errorf("the second writing gave other bytes (%v)", err)
	}
}

func TestRoundTrip(t *testing.T) {
	roundTrip(t, exported(t))
	for _, path := range exports(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			m, err := ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Check(); err != nil {
				t.Error(err)
			}
			roundTrip(t, m)
		})
	}
}

func TestWriteFile(t *testing.T) {
	m := exported(t)
	m.Metadata = map[string]string{"b": "2", "a": "1"}
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := m.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	again, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, again, sameBytes); diff != "" {
		t.Errorf("read again (-written +read):\n%s", diff)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("the folder holds %v (%v), want the model alone", left, err)
	}
}

func TestWriteFileErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "no", "model.onnx")
	if err := exported(t).WriteFile(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want one that names %s", err, path)
	}
	if _, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want one that names %s", err, path)
	}
}

// TestAttributes: every supported kind survives.
func TestAttributes(t *testing.T) {
	n := &Node{Name: "n", Domain: "custom", Op: "Any", Inputs: []string{"x", "", "x"}, Outputs: []string{"y", ""}, Attrs: []Attr{
		IntAttr("i", -3), FloatAttr("f", 0.5), StringAttr("s", "text"), IntsAttr("is", 1, -2),
		{Name: "fs", Kind: KindFloats, Floats: []float32{1, 2.5}},
		{Name: "ss", Kind: KindStrings, Strs: []string{"a", ""}},
		{Name: "t", Kind: KindTensor, T: Int64s([]int64{2}, 7, 8)},
	}}
	m := NewModel(&Graph{
		Name:    "g",
		Inputs:  []ValueInfo{{"x", Float, Dims("rows", 3, Dim{Size: -1})}, {"scalar", Int64, Shape{}}, {"any", Float, nil}},
		Outputs: []ValueInfo{{Name: "y"}},
		Nodes:   []*Node{n},
		Values:  []ValueInfo{{"y", Double, Dims(0)}},
	})
	m.Opsets["custom"] = 1
	roundTrip(t, m)
}

// onnxModel wraps one message in the smallest model.
func onnxModel(edit func(*onnxpb.GraphProto)) *onnxpb.ModelProto {
	g := &onnxpb.GraphProto{Name: proto.String("g")}
	edit(g)
	return &onnxpb.ModelProto{IrVersion: proto.Int64(8), Graph: g, OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(17)}}}
}

// withAttr edits a graph to be one node with an attribute, withTensor to be one tensor.
func withAttr(a *onnxpb.AttributeProto) func(*onnxpb.GraphProto) {
	return func(g *onnxpb.GraphProto) {
		g.Node = []*onnxpb.NodeProto{{Name: proto.String("branch"), OpType: proto.String("If"), Attribute: []*onnxpb.AttributeProto{a}}}
	}
}

func withTensor(p *onnxpb.TensorProto) func(*onnxpb.GraphProto) {
	return func(g *onnxpb.GraphProto) {
		p.Name = proto.String("weight")
		g.Initializer = []*onnxpb.TensorProto{p}
	}
}

var floatType = proto.Int32(int32(Float))

var refusals = []struct {
	name string
	edit func(*onnxpb.GraphProto)
	want []string // parts of the error
}{
	{"control flow", withAttr(&onnxpb.AttributeProto{Name: proto.String("then_branch"), Type: onnxpb.AttributeProto_GRAPH.Enum()}),
		[]string{"branch", "If", "then_branch", "control flow"}},
	{"attribute without tensor", withAttr(&onnxpb.AttributeProto{Type: onnxpb.AttributeProto_TENSOR.Enum()}), []string{"branch", "missing"}},
	{"attribute of unknown kind", withAttr(&onnxpb.AttributeProto{}), []string{"branch", "UNDEFINED"}},
	{"sparse tensor", func(g *onnxpb.GraphProto) {
		g.SparseInitializer = []*onnxpb.SparseTensorProto{{Values: &onnxpb.TensorProto{Name: proto.String("holes")}}}
	}, []string{"holes", "sparse"}},
	{"sequence as input", func(g *onnxpb.GraphProto) {
		g.Input = []*onnxpb.ValueInfoProto{{Name: proto.String("list"), Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_SequenceType{}}}}
	}, []string{"list", "not a tensor"}},
	{"external data", withTensor(&onnxpb.TensorProto{DataType: floatType, DataLocation: onnxpb.TensorProto_EXTERNAL.Enum(),
		ExternalData: []*onnxpb.StringStringEntryProto{{Key: proto.String("location"), Value: proto.String("w.bin")}}}), []string{"weight", "w.bin"}},
	{"no type", withTensor(&onnxpb.TensorProto{}), []string{"weight", "undefined"}},
	{"strings", withTensor(&onnxpb.TensorProto{DataType: proto.Int32(8)}), []string{"weight", "string"}},
	{"type of the future", withTensor(&onnxpb.TensorProto{DataType: proto.Int32(17)}), []string{"weight", "element type 17"}},
	{"segment", withTensor(&onnxpb.TensorProto{DataType: floatType, Segment: &onnxpb.TensorProto_Segment{}}), []string{"weight", "segment"}},
	{"short data", withTensor(&onnxpb.TensorProto{DataType: floatType, Dims: []int64{2}, RawData: make([]byte, 4)}), []string{"weight", "4 bytes"}},
	{"ragged data", withTensor(&onnxpb.TensorProto{DataType: floatType, Dims: []int64{1}, RawData: make([]byte, 5)}), []string{"weight", "5 bytes"}},
	{"no data", withTensor(&onnxpb.TensorProto{DataType: floatType, Dims: []int64{1 << 40}}), []string{"weight", "0 bytes"}},
	{"negative dimension", withTensor(&onnxpb.TensorProto{DataType: floatType, Dims: []int64{-1}}), []string{"weight", "negative"}},
	{"overflowing dimensions", withTensor(&onnxpb.TensorProto{DataType: floatType, Dims: []int64{1 << 33, 1 << 33}}), []string{"weight", "counted"}},
	{"data twice", withTensor(&onnxpb.TensorProto{DataType: floatType, Dims: []int64{1}, RawData: make([]byte, 4), FloatData: []float32{1}}), []string{"weight", "twice"}},
	{"data in the wrong field", withTensor(&onnxpb.TensorProto{DataType: floatType, Dims: []int64{1}, Int64Data: []int64{1}}), []string{"weight", "field"}},
	{"element out of range", withTensor(&onnxpb.TensorProto{DataType: proto.Int32(int32(Int8)), Dims: []int64{2}, Int32Data: []int32{1, 128}}), []string{"weight", "element 1", "128"}},
}

func TestUnmarshalRefuses(t *testing.T) {
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) { refused(t, onnxModel(c.edit), c.want) })
	}
}

// refused reads a message that must not be readable.
func refused(t *testing.T, p *onnxpb.ModelProto, want []string) {
	t.Helper()
	data, err := proto.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Unmarshal(data)
	if err == nil {
		t.Fatal("it was read without an error")
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

func TestUnmarshalRefusesModels(t *testing.T) {
	opset := func(v int64) *onnxpb.OperatorSetIdProto { return &onnxpb.OperatorSetIdProto{Version: proto.Int64(v)} }
	function := onnxModel(func(g *onnxpb.GraphProto) {
		g.Node = []*onnxpb.NodeProto{{Name: proto.String("call"), OpType: proto.String("F"), Domain: proto.String("own")}}
	})
	function.Functions = []*onnxpb.FunctionProto{{Name: proto.String("F"), Domain: proto.String("own")}}
	twice := onnxModel(func(*onnxpb.GraphProto) {})
	twice.OpsetImport = []*onnxpb.OperatorSetIdProto{opset(17), opset(18)}
	cases := []struct {
		name  string
		model *onnxpb.ModelProto
		want  []string
	}{
		{"empty file", &onnxpb.ModelProto{}, []string{"no graph"}},
		{"function", function, []string{"call", "functions"}},
		{"two versions", twice, []string{"17 and 18"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { refused(t, c.model, c.want) })
	}
	t.Run("no protobuf", func(t *testing.T) {
		if _, err := Unmarshal([]byte("this is text")); err == nil {
			t.Error("it was read without an error")
		}
	})
}

// TestTypedData: elements in typed fields become the same bytes as raw ones.
func TestTypedData(t *testing.T) {
	cases := []struct {
		t    DType
		p    *onnxpb.TensorProto
		want []byte
	}{
		{Float, &onnxpb.TensorProto{FloatData: []float32{1}}, []byte{0, 0, 0x80, 0x3f}},
		{Double, &onnxpb.TensorProto{DoubleData: []float64{1}}, []byte{0, 0, 0, 0, 0, 0, 0xf0, 0x3f}},
		{Int64, &onnxpb.TensorProto{Int64Data: []int64{-2}}, []byte{0xfe, 255, 255, 255, 255, 255, 255, 255}},
		{Int32, &onnxpb.TensorProto{Int32Data: []int32{-2}}, []byte{0xfe, 255, 255, 255}},
		{Int16, &onnxpb.TensorProto{Int32Data: []int32{-2}}, []byte{0xfe, 255}},
		{Int8, &onnxpb.TensorProto{Int32Data: []int32{-2}}, []byte{0xfe}},
		{Uint8, &onnxpb.TensorProto{Int32Data: []int32{254}}, []byte{0xfe}},
		{Uint16, &onnxpb.TensorProto{Int32Data: []int32{0xfffe}}, []byte{0xfe, 255}},
		{Uint32, &onnxpb.TensorProto{Uint64Data: []uint64{0xfffffffe}}, []byte{0xfe, 255, 255, 255}},
		{Uint64, &onnxpb.TensorProto{Uint64Data: []uint64{1<<64 - 2}}, []byte{0xfe, 255, 255, 255, 255, 255, 255, 255}},
		{Bool, &onnxpb.TensorProto{Int32Data: []int32{1}}, []byte{1}},
		{Float16, &onnxpb.TensorProto{Int32Data: []int32{0x3c00}}, []byte{0, 0x3c}},
		{BFloat16, &onnxpb.TensorProto{Int32Data: []int32{0x3f80}}, []byte{0x80, 0x3f}},
	}
	for _, c := range cases {
		t.Run(c.t.String(), func(t *testing.T) {
			c.p.DataType, c.p.Dims = proto.Int32(int32(c.t)), []int64{1}
			got, err := reader{}.tensor(c.p)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Raw, c.want) {
				t.Errorf("bytes %x, want %x", got.Raw, c.want)
			}
		})
	}
}

// exportedStart is the beginning of an exporter's graph: the fuzzer needs short files.
func exportedStart(m *Model) *Model {
	m = m.Clone()
	m.Graph.Nodes = m.Graph.Nodes[:20]
	m.Graph.Initializers = nil
	m.Graph.Values = nil
	return m
}

// FuzzUnmarshal: whatever the bytes, there is a model or an error; and what Check lets through can be written.
func FuzzUnmarshal(f *testing.F) {
	data, err := os.ReadFile("testdata/external.onnx")
	if err != nil {
		f.Fatal(err)
	}
	m, err := unmarshal(data, zeros)
	if err != nil {
		f.Fatal(err)
	}
	small := exportedStart(m)
	for _, m := range []*Model{sum(), small} {
		seed, err := m.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	for _, c := range Cases() {
		seed, err := c.Model.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	seeds := []*onnxpb.ModelProto{documented()}
	for _, r := range refusals {
		seeds = append(seeds, onnxModel(r.edit))
	}
	for _, p := range seeds {
		seed, err := proto.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := unmarshal(data, func(_ external, size int64) ([]byte, error) { return make([]byte, min(size, 1<<16)), nil })
		if err != nil || m.Check() != nil {
			return
		}
		if _, err := Infer(m); err != nil {
			t.Log(err)
		}
		written, err := m.Marshal()
		if err != nil {
			t.Fatalf("a model that passed the check can't be written: %v", err)
		}
		if _, err := Unmarshal(written); err != nil {
			t.Errorf("a model that was written can't be read: %v", err)
		}
	})
}

// TestAbsentAtTheEnd: inputs that are absent are left out where none follows, since the engine crashes over some that are empty names.
func TestAbsentAtTheEnd(t *testing.T) {
	b := NewBuilder(&Graph{Name: "absent"})
	b.Input("x", Float, 3)
	b.Graph.Nodes = append(b.Graph.Nodes, &Node{Op: "Clip", Inputs: []string{"x", "", b.Scalar(1), ""}, Outputs: []string{"y"}},
		&Node{Op: "Clip", Inputs: []string{"y", "", ""}, Outputs: []string{"z"}})
	b.Output("z", Float, 3)
	data, err := NewModel(b.Graph).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	m, err := Unmarshal(data)
	if err != nil {
		t.Fatal(err)
	}
	var counts []int
	for _, n := range m.Graph.Nodes[len(m.Graph.Nodes)-2:] {
		counts = append(counts, len(n.Inputs))
	}
	if !slices.Equal(counts, []int{3, 1}) {
		t.Errorf("%d inputs are left", counts)
	}
}
