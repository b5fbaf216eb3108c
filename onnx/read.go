package onnx

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	"metalora/onnx/onnxpb"
	"metalora/pipeline/confined"
)

// maxFile is protobuf's limit on a message, and so the largest ONNX file there can be.
const maxFile = 1<<31 - 1

// ReadFile reads an ONNX file, and the files beside it that hold its tensors' data, if any.
// It refuses what [Unmarshal] refuses, and data outside the file's own folder.
func ReadFile(path string) (*Model, error) {
	file, err := confined.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading ONNX file %s: %w", path, err)
	}
	return read(file, path)
}

// ReadIn is [ReadFile] for a file in a folder, out of which no link leads.
func ReadIn(dir, name string) (*Model, error) {
	path := filepath.Join(dir, name)
	folder, err := confined.OpenFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("reading ONNX file %s: %w", path, err)
	}
	defer folder.Close()
	file, err := folder.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading ONNX file %s: %w", path, err)
	}
	return read(file, path)
}

// read reads an open file, which it closes.
func read(file *os.File, path string) (*Model, error) {
	defer file.Close()
	data, err := readBytes(file)
	if err != nil {
		return nil, fmt.Errorf("reading ONNX file %s: %w", path, err)
	}
	beside := &beside{path: filepath.Dir(path), spans: map[span][]byte{}, taken: map[string]int64{}}
	defer beside.close()
	m, err := unmarshal(data, beside.read)
	if err != nil {
		return nil, fmt.Errorf("reading ONNX file %s: %w", path, err)
	}
	return m, nil
}

// readBytes is a file's content, once its outline has shown that it may be a model.
func readBytes(file *os.File) ([]byte, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, errTooLarge
	}
	if err := checkOutline(file, info.Size()); err != nil {
		return nil, err
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(file, data); err != nil {
		return nil, err
	}
	return data, nil
}

var errTooLarge = errors.New("the file is larger than the 2 GB that protobuf allows")

// Unmarshal reads a model from an ONNX file's bytes, which its weights go on to lie in. What it returns satisfies ONNX's form but not yet its rules: see
// [Model.Check]. Refused, with the name of the node or tensor at fault: graphs as attributes (If, Loop, Scan), functions,
// sparse and string tensors, inputs that are not tensors, and data kept in other files.
func Unmarshal(data []byte) (*Model, error) {
	return unmarshal(data, func(e external, _ int64) ([]byte, error) {
		return nil, fmt.Errorf("its data lies in another file, %q, which can only be found from the path of the model", e.location)
	})
}

// unmarshal is Unmarshal with a way to get at the data in other files.
func unmarshal(data []byte, fetch fetch) (*Model, error) {
	p, err := decode(data)
	if err != nil {
		return nil, err
	}
	if p.Graph == nil {
		return nil, errors.New("not an ONNX model: it holds no graph")
	}
	m := &Model{IRVersion: p.GetIrVersion(), Producer: p.GetProducerName(), Extra: modelExtra(p)}
	if m.Opsets, err = readOpsets(p.OpsetImport); err != nil {
		return nil, err
	}
	for _, e := range p.MetadataProps {
		if m.Metadata == nil {
			m.Metadata = map[string]string{}
		}
		m.Metadata[e.GetKey()] = e.GetValue()
	}
	if err := refuseFunctions(p); err != nil {
		return nil, err
	}
	if m.Graph, err = (reader{fetch}).graph(p.Graph); err != nil {
		return nil, err
	}
	return m, nil
}

// decode decodes a file whose weights stay where they are in data.
func decode(data []byte) (*onnxpb.ModelProto, error) {
	if len(data) > maxFile {
		return nil, errTooLarge
	}
	if err := checkWeight(data); err != nil {
		return nil, err
	}
	data, weights := cutWeights(data)
	p := &onnxpb.ModelProto{}
	if err := proto.Unmarshal(data, p); err != nil {
		return nil, fmt.Errorf("decoding protobuf: %w", err)
	}
	for i, raw := range weights {
		if raw != nil {
			p.Graph.Initializer[i].RawData = raw
		}
	}
	return p, nil
}

func readOpsets(imports []*onnxpb.OperatorSetIdProto) (map[string]int64, error) {
	opsets := map[string]int64{}
	for _, o := range imports {
		domain := domainName(o.GetDomain())
		if v, ok := opsets[domain]; ok && v != o.GetVersion() {
			return nil, fmt.Errorf("operator set %q is imported in versions %d and %d", domain, v, o.GetVersion())
		}
		opsets[domain] = o.GetVersion()
	}
	return opsets, nil
}

// domainName gives ONNX's own operator set one name; files write it in two ways.
func domainName(d string) string {
	if d == "ai.onnx" {
		return ""
	}
	return d
}

// refuseFunctions finds a node that calls one of the model's own functions. Functions that no node calls are harmless.
func refuseFunctions(p *onnxpb.ModelProto) error {
	for _, f := range p.Functions {
		for _, n := range p.Graph.Node {
			if n.GetOpType() == f.GetName() && domainName(n.GetDomain()) == domainName(f.GetDomain()) {
				return fmt.Errorf("node %q (%s): functions are not supported; inline them before exporting", n.GetName(), n.GetOpType())
			}
		}
	}
	return nil
}

// reader turns protobuf messages into this package's values.
type reader struct{ fetch fetch }

func (r reader) graph(p *onnxpb.GraphProto) (g *Graph, err error) {
	g = &Graph{Name: p.GetName(), Extra: graphExtra(p), ValueExtra: valueExtras(p)}
	if len(p.SparseInitializer) > 0 {
		return nil, fmt.Errorf("initializer %q: sparse tensors are not supported", p.SparseInitializer[0].GetValues().GetName())
	}
	if g.Inputs, err = readValues(p.Input); err != nil {
		return nil, fmt.Errorf("input %w", err)
	}
	if g.Outputs, err = readValues(p.Output); err != nil {
		return nil, fmt.Errorf("output %w", err)
	}
	for _, v := range p.ValueInfo {
		// What is said about intermediate values is a hint only: one that cannot be read is left out.
		if info, err := readValue(v); err == nil {
			g.Values = append(g.Values, info)
		}
	}
	for _, t := range p.Initializer {
		tensor, err := r.tensor(t)
		if err != nil {
			return nil, fmt.Errorf("initializer %w", err)
		}
		g.Initializers = append(g.Initializers, tensor)
	}
	g.Nodes, err = r.nodes(p.Node)
	return g, err
}

// maxNamed bounds how many nodes an error names.
const maxNamed = 20

// nodes reads all nodes. An error names every one that cannot be read, so that a person sees all that is in the way at once.
func (r reader) nodes(list []*onnxpb.NodeProto) ([]*Node, error) {
	var nodes []*Node
	var wrong []error
	for i, n := range list {
		node, err := r.node(n)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("node %d %q (%s): %w", i, n.GetName(), n.GetOpType(), err))
		}
		nodes = append(nodes, node)
	}
	if more := len(wrong) - maxNamed; more > 0 {
		wrong = append(wrong[:maxNamed], fmt.Errorf("and %d more", more))
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	return nodes, nil
}

func readValues(list []*onnxpb.ValueInfoProto) ([]ValueInfo, error) {
	var values []ValueInfo
	for _, p := range list {
		v, err := readValue(p)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", p.GetName(), err)
		}
		values = append(values, v)
	}
	return values, nil
}

func readValue(p *onnxpb.ValueInfoProto) (ValueInfo, error) {
	v := ValueInfo{Name: p.GetName()}
	if p.Type == nil || p.Type.Value == nil {
		return v, nil
	}
	t, ok := p.Type.Value.(*onnxpb.TypeProto_TensorType)
	if !ok {
		return v, errors.New("not a tensor: sequences, maps and sparse tensors are not supported")
	}
	v.Type = DType(t.TensorType.GetElemType())
	if t.TensorType.GetShape() == nil {
		return v, nil
	}
	v.Shape = Shape{}
	for _, d := range t.TensorType.Shape.Dim {
		dim := Dim{Size: -1, Name: d.GetDimParam()}
		if size, ok := d.Value.(*onnxpb.TensorShapeProto_Dimension_DimValue); ok && size.DimValue >= 0 {
			dim = Dim{Size: size.DimValue}
		}
		v.Shape = append(v.Shape, dim)
	}
	return v, nil
}

func (r reader) node(p *onnxpb.NodeProto) (*Node, error) {
	n := &Node{Name: p.GetName(), Domain: domainName(p.GetDomain()), Op: p.GetOpType(), Inputs: p.Input, Outputs: p.Output,
		Extra: nodeExtra(p)}
	for _, a := range p.Attribute {
		attr, err := r.attr(a)
		if err != nil {
			return nil, fmt.Errorf("attribute %q: %w", a.GetName(), err)
		}
		n.Attrs = append(n.Attrs, attr)
	}
	return n, nil
}

func (r reader) attr(p *onnxpb.AttributeProto) (Attr, error) {
	a := Attr{Name: p.GetName(), Kind: AttrKind(p.GetType()), Extra: attrExtra(p)}
	switch a.Kind {
	case KindFloat:
		a.F = p.GetF()
	case KindInt:
		a.I = p.GetI()
	case KindString:
		a.S = string(p.GetS())
	case KindFloats:
		a.Floats = p.Floats
	case KindInts:
		a.Ints = p.Ints
	case KindStrings:
		for _, s := range p.Strings {
			a.Strs = append(a.Strs, string(s))
		}
	case KindTensor:
		if p.T == nil {
			return a, errors.New("the tensor is missing")
		}
		var err error
		a.T, err = r.tensor(p.T)
		return a, err
	case AttrKind(onnxpb.AttributeProto_GRAPH), AttrKind(onnxpb.AttributeProto_GRAPHS):
		return a, errors.New("control flow (a graph as attribute) is not supported")
	default:
		return a, fmt.Errorf("attributes of kind %v are not supported", p.GetType())
	}
	return a, nil
}
