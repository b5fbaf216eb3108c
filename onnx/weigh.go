package onnx

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"metalora/onnx/onnxpb"
)

// A decoded message takes far more memory than an encoded one where its parts are tiny: an empty node is two bytes in the
// file and some 200 in memory. Real models are little more than their weights. These bound what decoding may take:
// a few times the file, plus what a graph of any use needs.
const (
	weightFactor = 4
	weightFree   = 16 << 20
	messageCost  = 256 // bytes of a decoded message and the pointers to it, roughly
	stringCost   = 24
	integerCost  = 16    // of one of a packed list: the element, and its copy in a tensor's data
	maxDepth     = 10000 // where protobuf's decoder gives up as well
)

// checkWeight refuses an encoded model whose decoded form would take more memory than the file's size warrants. It only
// counts; what is no protobuf at all is left to the decoder to complain about.
func checkWeight(data []byte) error {
	s := scale{left: weightFactor*int64(len(data)) + weightFree}
	s.message((&onnxpb.ModelProto{}).ProtoReflect().Descriptor(), data, 0)
	if s.left < 0 {
		return fmt.Errorf("its %d bytes hold so many tiny parts that reading them would take many times the file's size in memory", len(data))
	}
	return nil
}

// scale takes what the parts of a message weigh from what is left.
type scale struct{ left int64 }

// message weighs a message that lies in depth others; what is no protobuf weighs nothing.
func (s *scale) message(d protoreflect.MessageDescriptor, data []byte, depth int) {
	s.left -= messageCost
	for len(data) > 0 && s.left >= 0 && depth < maxDepth {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return
		}
		size := protowire.ConsumeFieldValue(number, kind, data[n:])
		if size < 0 {
			return
		}
		s.field(d.Fields().ByNumber(number), kind, data[n:n+size], depth)
		data = data[n+size:]
	}
}

// field weighs one field, whose descriptor is nil where it is unknown: the decoder keeps those as they are.
func (s *scale) field(f protoreflect.FieldDescriptor, kind protowire.Type, data []byte, depth int) {
	if kind != protowire.BytesType || f == nil {
		s.left -= max(8, int64(len(data)))
		return
	}
	content, _ := protowire.ConsumeBytes(data)
	switch f.Kind() {
	case protoreflect.MessageKind:
		s.message(f.Message(), content, depth+1)
	case protoreflect.StringKind, protoreflect.BytesKind:
		s.left -= stringCost + int64(len(content))
	case protoreflect.FloatKind, protoreflect.DoubleKind: // packed, as large decoded as encoded, and copied into one form
		s.left -= 2 * int64(len(content))
	default: // packed integers, a byte or more each, that become 4 or 8 bytes
		s.left -= integerCost * int64(countVarints(content))
	}
}

// countVarints counts the last bytes of varints.
func countVarints(data []byte) (n int) {
	for _, b := range data {
		if b <= math.MaxInt8 {
			n++
		}
	}
	return n
}
