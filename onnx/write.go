package onnx

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"metalora/onnx/onnxpb"
)

// Marshal is the model as an ONNX file's bytes. Equal models give equal bytes.
func (m *Model) Marshal() ([]byte, error) {
	p, err := writeModel(m)
	if err != nil {
		return nil, err
	}
	file, err := encode(p)
	if err != nil {
		return nil, err
	}
	if file.size > maxFile {
		return nil, fmt.Errorf("the model takes %d bytes, more than the 2 GB that an ONNX file can hold", file.size)
	}
	return slices.Concat(file.pieces...), nil
}

// encode is a model's message in pieces. Its weights are not copied, and it is left without them.
func encode(p *onnxpb.ModelProto) (*message, error) {
	file, graph, g := &message{}, &message{}, p.Graph
	tensors := g.Initializer
	p.Graph, g.Initializer = nil, nil
	for _, part := range []struct {
		to   *message
		from proto.Message
	}{{file, p}, {graph, g}} {
		data, err := deterministic.Marshal(part.from)
		if err != nil {
			return nil, err
		}
		part.to.add(data)
	}
	for _, t := range tensors {
		tensor, err := encodeTensor(t)
		if err != nil {
			return nil, err
		}
		graph.embed(initializerField, tensor)
	}
	file.embed(graphField, graph)
	return file, nil
}

func encodeTensor(t *onnxpb.TensorProto) (*message, error) {
	raw := t.RawData
	t.RawData = nil
	head, err := deterministic.Marshal(t)
	if err != nil {
		return nil, err
	}
	m := &message{}
	m.add(head)
	if raw != nil {
		m.embed(rawDataField, &message{[][]byte{raw}, len(raw)})
	}
	return m, nil
}

var deterministic = proto.MarshalOptions{Deterministic: true}

func writeModel(m *Model) (*onnxpb.ModelProto, error) {
	g, err := writeGraph(m.Graph)
	if err != nil {
		return nil, err
	}
	p := &onnxpb.ModelProto{IrVersion: proto.Int64(m.IRVersion), ProducerName: text(m.Producer), Graph: g}
	for _, domain := range slices.Sorted(maps.Keys(m.Opsets)) {
		p.OpsetImport = append(p.OpsetImport, &onnxpb.OperatorSetIdProto{Domain: proto.String(domain), Version: proto.Int64(m.Opsets[domain])})
	}
	for _, key := range slices.Sorted(maps.Keys(m.Metadata)) {
		p.MetadataProps = append(p.MetadataProps, &onnxpb.StringStringEntryProto{Key: proto.String(key), Value: proto.String(m.Metadata[key])})
	}
	if err := addExtra(p, m.Extra); err != nil {
		return nil, fmt.Errorf("the model: %w", err)
	}
	return p, nil
}

// text leaves an empty string out of the file.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func writeGraph(g *Graph) (*onnxpb.GraphProto, error) {
	p := &onnxpb.GraphProto{Name: proto.String(g.Name)}
	if g.Name == "" {
		p.Name = proto.String("graph") // ONNX demands a name
	}
	for _, list := range []struct {
		from []ValueInfo
		to   *[]*onnxpb.ValueInfoProto
	}{{g.Inputs, &p.Input}, {g.Outputs, &p.Output}, {g.Values, &p.ValueInfo}} {
		for _, v := range list.from {
			value := writeValue(v)
			if err := addExtra(value, g.ValueExtra[v.Name]); err != nil {
				return nil, fmt.Errorf("value %q: %w", v.Name, err)
			}
			*list.to = append(*list.to, value)
		}
	}
	for _, t := range g.Initializers {
		tensor, err := writeTensor(t)
		if err != nil {
			return nil, fmt.Errorf("initializer: %w", err)
		}
		p.Initializer = append(p.Initializer, tensor)
	}
	for _, n := range g.Nodes {
		node, err := writeNode(n)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", n, err)
		}
		p.Node = append(p.Node, node)
	}
	return p, addExtra(p, g.Extra)
}

func writeValue(v ValueInfo) *onnxpb.ValueInfoProto {
	p := &onnxpb.ValueInfoProto{Name: proto.String(v.Name)}
	if v.Type == Undefined {
		return p
	}
	t := &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(int32(v.Type))}
	if v.Shape != nil {
		t.Shape = &onnxpb.TensorShapeProto{}
	}
	for _, d := range v.Shape {
		dim := &onnxpb.TensorShapeProto_Dimension{}
		if d.Size >= 0 {
			dim.Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: d.Size}
		} else if d.Name != "" {
			dim.Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: d.Name}
		}
		t.Shape.Dim = append(t.Shape.Dim, dim)
	}
	p.Type = &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{TensorType: t}}
	return p
}

func writeTensor(t *Tensor) (*onnxpb.TensorProto, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	raw := t.Raw
	if raw == nil {
		raw = []byte{}
	}
	p := &onnxpb.TensorProto{Name: text(t.Name), DataType: proto.Int32(int32(t.Type)), Dims: t.Dims, RawData: raw}
	return p, addExtra(p, t.Extra)
}

// given leaves absent inputs out that come last: some operators of the engine want them left out, and crash over an empty name.
func given(inputs []string) []string {
	for len(inputs) > 0 && inputs[len(inputs)-1] == "" {
		inputs = inputs[:len(inputs)-1]
	}
	return inputs
}

func writeNode(n *Node) (*onnxpb.NodeProto, error) {
	p := &onnxpb.NodeProto{Name: text(n.Name), Domain: text(n.Domain), OpType: proto.String(n.Op), Input: given(n.Inputs), Output: n.Outputs}
	for _, a := range n.Attrs {
		attr, err := writeAttr(a)
		if err != nil {
			return nil, fmt.Errorf("attribute %q: %w", a.Name, err)
		}
		p.Attribute = append(p.Attribute, attr)
	}
	return p, addExtra(p, n.Extra)
}

func writeAttr(a Attr) (*onnxpb.AttributeProto, error) {
	p := &onnxpb.AttributeProto{Name: proto.String(a.Name), Type: onnxpb.AttributeProto_AttributeType(a.Kind).Enum()}
	switch a.Kind {
	case KindFloat:
		p.F = proto.Float32(a.F)
	case KindInt:
		p.I = proto.Int64(a.I)
	case KindString:
		p.S = []byte(a.S)
	case KindFloats:
		p.Floats = a.Floats
	case KindInts:
		p.Ints = a.Ints
	case KindStrings:
		for _, s := range a.Strs {
			p.Strings = append(p.Strings, []byte(s))
		}
	case KindTensor:
		if a.T == nil {
			return nil, fmt.Errorf("the tensor is missing")
		}
		var err error
		if p.T, err = writeTensor(a.T); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("kind %d is not supported", a.Kind)
	}
	return p, addExtra(p, a.Extra)
}
