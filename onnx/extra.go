package onnx

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"metalora/onnx/onnxpb"
)

// extra encodes what is left of a message: rest has its fields that this package gives no name to, and the fields that
// nobody knew when the bindings were made come from the message itself.
func extra(p, rest proto.Message) []byte {
	rest.ProtoReflect().SetUnknown(p.ProtoReflect().GetUnknown())
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(rest)
	if err != nil || len(data) == 0 {
		return nil // of what protobuf has just decoded, it can encode every part
	}
	return data
}

func modelExtra(p *onnxpb.ModelProto) []byte {
	return extra(p, &onnxpb.ModelProto{ProducerVersion: p.ProducerVersion, Domain: p.Domain, ModelVersion: p.ModelVersion,
		DocString: p.DocString, TrainingInfo: p.TrainingInfo, Functions: p.Functions})
}

func graphExtra(p *onnxpb.GraphProto) []byte {
	return extra(p, &onnxpb.GraphProto{DocString: p.DocString, QuantizationAnnotation: p.QuantizationAnnotation})
}

func nodeExtra(p *onnxpb.NodeProto) []byte {
	return extra(p, &onnxpb.NodeProto{DocString: p.DocString})
}

func attrExtra(p *onnxpb.AttributeProto) []byte {
	return extra(p, &onnxpb.AttributeProto{DocString: p.DocString, RefAttrName: p.RefAttrName})
}

func tensorExtra(p *onnxpb.TensorProto) []byte {
	return extra(p, &onnxpb.TensorProto{DocString: p.DocString})
}

// valueExtras keeps what is said of values beyond their type and shape. A value that is an output as well as an
// intermediate one has one entry.
func valueExtras(g *onnxpb.GraphProto) map[string][]byte {
	var extras map[string][]byte
	for _, list := range [][]*onnxpb.ValueInfoProto{g.Input, g.Output, g.ValueInfo} {
		for _, p := range list {
			rest := &onnxpb.ValueInfoProto{DocString: p.DocString}
			if p.GetType().GetDenotation() != "" {
				rest.Type = &onnxpb.TypeProto{Denotation: p.Type.Denotation}
			}
			if data := extra(p, rest); data != nil {
				if extras == nil {
					extras = map[string][]byte{}
				}
				extras[p.GetName()] = data
			}
		}
	}
	return extras
}

// addExtra puts back what extra has kept.
func addExtra(p proto.Message, data []byte) error {
	return proto.UnmarshalOptions{Merge: true}.Unmarshal(data, p)
}

// metadataField is the number of metadata_props in a NodeProto, since ONNX 1.16.
const metadataField = 9

// Metadata returns what an exporter noted on the node under a key, empty if nothing: torch's dynamo exporter leaves there
// the module that the node comes from.
func (n *Node) Metadata(key string) string {
	value := ""
	eachField(n.Extra, func(number protowire.Number, entry []byte) {
		var k, v string
		if number != metadataField {
			return
		}
		eachField(entry, func(number protowire.Number, text []byte) {
			switch number {
			case 1:
				k = string(text)
			case 2:
				v = string(text)
			}
		})
		if k == key {
			value = v
		}
	})
	return value
}

// eachField calls f for every length-delimited field of an encoded message, as far as it can be read.
func eachField(data []byte, f func(number protowire.Number, content []byte)) {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return
		}
		size := protowire.ConsumeFieldValue(number, kind, data[n:])
		if size < 0 {
			return
		}
		if kind == protowire.BytesType {
			content, _ := protowire.ConsumeBytes(data[n:])
			f(number, content)
		}
		data = data[n+size:]
	}
}
