package onnx

import "google.golang.org/protobuf/encoding/protowire"

// The fields on the way from a model to the bytes of its weights.
const (
	graphField       protowire.Number = 7 // of ModelProto
	initializerField protowire.Number = 5 // of GraphProto
	rawDataField     protowire.Number = 9 // of TensorProto
)

// cutWeights takes the raw data of the initializers out of an encoded model: protobuf's decoder would copy it, and the
// weights are nearly all of a file. It returns what is left, and for each initializer in order its raw data, which lies
// in model; nil for one that has none. What is no protobuf is returned as it is, for the decoder to complain about.
func cutWeights(model []byte) (rest []byte, weights [][]byte) {
	rest, ok := replace(model, graphField, func(graph []byte) ([]byte, bool) {
		return replace(graph, initializerField, func(tensor []byte) ([]byte, bool) {
			var raw []byte
			rest, ok := replace(tensor, rawDataField, func(data []byte) ([]byte, bool) {
				raw = data
				return nil, true
			})
			weights = append(weights, raw)
			return rest, ok
		})
	})
	if !ok {
		return model, nil
	}
	return rest, weights
}

// replace copies an encoded message with what f makes of the content of each field of a number. It fails where data is no
// message or f fails.
func replace(data []byte, field protowire.Number, f func([]byte) ([]byte, bool)) (out []byte, ok bool) {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return nil, false
		}
		size := protowire.ConsumeFieldValue(number, kind, data[n:])
		if size < 0 {
			return nil, false
		}
		if number != field || kind != protowire.BytesType {
			out = append(out, data[:n+size]...)
		} else {
			content, _ := protowire.ConsumeBytes(data[n:])
			if content, ok = f(content); !ok {
				return nil, false
			}
			out = protowire.AppendTag(out, number, kind)
			out = protowire.AppendBytes(out, content)
		}
		data = data[n+size:]
	}
	return out, true
}

// message is an encoded message in pieces, so that weights are written from where they lie.
type message struct {
	pieces [][]byte
	size   int
}

func (m *message) add(pieces ...[]byte) {
	for _, p := range pieces {
		m.pieces, m.size = append(m.pieces, p), m.size+len(p)
	}
}

// embed adds a message as a field of this one.
func (m *message) embed(field protowire.Number, inner *message) {
	head := protowire.AppendTag(nil, field, protowire.BytesType)
	m.add(protowire.AppendVarint(head, uint64(inner.size)))
	m.add(inner.pieces...)
}
