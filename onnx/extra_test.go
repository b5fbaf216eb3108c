package onnx

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"metalora/onnx/onnxpb"
)

// unknownField is a field that no binding of ours has a name for.
func unknownField(p proto.Message, text string) {
	raw := protowire.AppendTag(nil, 900, protowire.BytesType)
	p.ProtoReflect().SetUnknown(protowire.AppendString(raw, text))
}

// documented is a model that says more than is needed to run it, in every message.
func documented() *onnxpb.ModelProto {
	doc := proto.String("for people")
	value := func(name string) *onnxpb.ValueInfoProto {
		v := writeValue(ValueInfo{name, Float, Dims("rows", 2)})
		v.DocString = doc
		v.Type.Denotation = proto.String("TENSOR")
		unknownField(v, name)
		return v
	}
	weight := &onnxpb.TensorProto{Name: proto.String("w"), DataType: floatType, Dims: []int64{2}, RawData: make([]byte, 8), DocString: doc}
	attr := &onnxpb.AttributeProto{Name: proto.String("alpha"), Type: onnxpb.AttributeProto_FLOAT.Enum(), F: proto.Float32(2), DocString: doc}
	node := &onnxpb.NodeProto{Name: proto.String("n"), OpType: proto.String("Elu"), Input: []string{"x"}, Output: []string{"h"},
		Attribute: []*onnxpb.AttributeProto{attr}, DocString: doc}
	add := &onnxpb.NodeProto{OpType: proto.String("Add"), Input: []string{"h", "w"}, Output: []string{"y"}}
	m := onnxModel(func(g *onnxpb.GraphProto) {
		g.DocString, g.Node, g.Initializer = doc, []*onnxpb.NodeProto{node, add}, []*onnxpb.TensorProto{weight}
		g.Input, g.Output = []*onnxpb.ValueInfoProto{value("x")}, []*onnxpb.ValueInfoProto{value("y")}
		g.ValueInfo = []*onnxpb.ValueInfoProto{value("h")}
		g.QuantizationAnnotation = []*onnxpb.TensorAnnotation{{TensorName: proto.String("w")}}
	})
	m.OpsetImport[0].Domain = proto.String("")
	m.ProducerVersion, m.ModelVersion, m.Domain, m.DocString = proto.String("1.2"), proto.Int64(7), proto.String("org"), doc
	m.Functions = []*onnxpb.FunctionProto{{Name: proto.String("Unused"), Domain: proto.String("own")}}
	for _, p := range []proto.Message{weight, attr, m, m.Graph} {
		unknownField(p, "new in ONNX 99")
	}
	node.ProtoReflect().SetUnknown(metadataProp("pkg.torch.onnx.name_scopes", "['', 'roberta']"))
	return m
}

// metadataProp encodes an entry of a node's metadata, which the bindings do not know.
func metadataProp(key, value string) []byte {
	entry := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), key)
	entry = protowire.AppendString(protowire.AppendTag(entry, 2, protowire.BytesType), value)
	return protowire.AppendBytes(protowire.AppendTag(nil, metadataField, protowire.BytesType), entry)
}

// TestExtrasSurvive: what this package has no name for is written as it was read.
func TestExtrasSurvive(t *testing.T) {
	before := documented()
	data, err := proto.Marshal(before)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Unmarshal(data)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Graph.Nodes[0].Metadata("pkg.torch.onnx.name_scopes"); got != "['', 'roberta']" {
		t.Errorf("the node's metadata: %q", got)
	}
	if data, err = m.Marshal(); err != nil {
		t.Fatal(err)
	}
	after := &onnxpb.ModelProto{}
	if err := proto.Unmarshal(data, after); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(before, after) {
		t.Errorf("read\n%v\nwritten\n%v", before, after)
	}
}

func TestMetadataOfDamagedExtras(t *testing.T) {
	whole := metadataProp("key", "value")
	for cut := range whole {
		n := &Node{Extra: whole[:cut]}
		if got := n.Metadata("key"); got != "" {
			t.Errorf("%d bytes: %q", cut, got)
		}
	}
}

// TestManyTinyParts: a small file whose parts would fill the memory is refused before they are decoded.
func TestManyTinyParts(t *testing.T) {
	const parts = 4 << 20
	inGraph := func(field protowire.Number) []byte {
		part := protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), nil)
		return protowire.AppendBytes(protowire.AppendTag(nil, 7, protowire.BytesType), bytes.Repeat(part, parts))
	}
	for name, data := range map[string][]byte{"nodes": inGraph(1), "tensors": inGraph(5), "inputs": inGraph(11), "extras": inGraph(14)} {
		t.Run(name, func(t *testing.T) {
			if _, err := Unmarshal(data); err == nil || !strings.Contains(err.Error(), "tiny parts") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestDeepNesting: messages in messages end in an error, however many.
func TestDeepNesting(t *testing.T) {
	var data []byte // a graph in an attribute of a node of a graph …
	for range 30000 {
		for _, field := range []protowire.Number{6, 5, 1} {
			data = protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), data)
		}
		if len(data) > 1<<17 {
			break
		}
	}
	data = protowire.AppendBytes(protowire.AppendTag(nil, 7, protowire.BytesType), data)
	if _, err := Unmarshal(data); err == nil {
		t.Error("it was read without an error")
	}
}
