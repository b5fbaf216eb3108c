package main

import (
	"encoding/binary"
	"slices"
	"strings"
)

// message is an encoded protobuf message; fields are put behind each other.
type message []byte

// number is a field that holds a whole number.
func number(field int, n uint64) message {
	return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(field)<<3), n)
}

// inside is a field that holds bytes, a text or a message.
func inside(field int, content ...message) message {
	all := slices.Concat(content...)
	return append(binary.AppendUvarint(binary.AppendUvarint(nil, uint64(field)<<3|2), uint64(len(all))), all...)
}

func text(field int, s string) message { return inside(field, message(s)) }

// Fields of ONNX's messages, by onnx.proto.
const (
	modelIR, modelGraph, modelOpset, modelFunction                       = 1, 7, 8, 25
	graphNode, graphInitializer, graphSparse, graphInput, graphOutput    = 1, 5, 15, 11, 12
	nodeInput, nodeOutput, nodeOp, nodeAttribute                         = 1, 2, 4, 5
	attributeName, attributeTensor, attributeGraph, attributeType        = 1, 5, 6, 20
	tensorDims, tensorType, tensorSegment, tensorFloats, tensorString    = 1, 2, 3, 4, 6
	tensorName, tensorRaw, tensorExternal, tensorLocation, kindOfFloat   = 8, 9, 13, 14, 1
	typeTensor, typeSequence, tensorElement, valueType, attributeIsGraph = 1, 4, 1, 2, 5
)

// onnxModel is a model with a graph of these fields.
func onnxModel(graph ...message) message {
	return slices.Concat(number(modelIR, 8), inside(modelOpset, number(2, 17)), inside(modelGraph, graph...))
}

// float is a value that the graph takes or gives.
func float(field int, name string) message {
	return inside(field, text(1, name), inside(valueType, inside(typeTensor, number(tensorElement, kindOfFloat))))
}

func node(op, input, output string, more ...message) message {
	return inside(graphNode, slices.Concat(text(nodeInput, input), text(nodeOutput, output), text(nodeOp, op)), slices.Concat(more...))
}

// weight is an initializer of one float.
func weight(dims []uint64, more ...message) message {
	all := append(text(tensorName, "w"), number(tensorType, kindOfFloat)...)
	for _, d := range dims {
		all = append(all, number(tensorDims, d)...)
	}
	return inside(graphInitializer, all, slices.Concat(more...))
}

// apart are the fields of a tensor whose data lies in another file.
func apart(pairs ...string) message {
	all := number(tensorLocation, 1)
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, inside(tensorExternal, text(1, pairs[i]), text(2, pairs[i+1]))...)
	}
	return all
}

func onnxAttack(name, want string, data message) attack {
	return attack{room: "onnx", name: name + ".onnx", data: data, verb: []string{"model", "inspect", "PATH"}, code: 3, want: want}
}

// graphs are .onnx files whose encoding or tensors lie.
func graphs() []attack {
	raw := text(tensorRaw, "abcd")
	in, out := float(graphInput, "x"), float(graphOutput, "y")
	add := node("Add", "x", "y", text(nodeInput, "w"))
	with := func(w ...message) message { return onnxModel(slices.Concat(in, out, add), slices.Concat(w...)) }
	const most = 1<<63 - 1
	return []attack{
		onnxAttack("empty", "holds no graph", nil),
		onnxAttack("text", "decoding protobuf", message("this is no model\n")),
		onnxAttack("zeros", "decoding protobuf", make(message, 64)),
		onnxAttack("length-of-all", "ends behind the end", append(message{modelGraph<<3 | 2}, "\xff\xff\xff\xff\xff\xff\xff\xff\x7f"...)),
		onnxAttack("length-beyond-end", "ends behind the end", append(message{modelGraph<<3 | 2}, 100)),
		onnxAttack("truncated", "ends behind the end", with(weight([]uint64{1}, raw))[:40]),
		onnxAttack("group", "no ONNX file has", message{modelGraph<<3 | 3, modelGraph<<3 | 4}),
		onnxAttack("varint-without-end", "decoding protobuf", message(strings.Repeat("\xff", 30))),
		onnxAttack("data-too-short", "4 bytes of data, want 1000000000 float", with(weight([]uint64{1e9}, raw))),
		onnxAttack("data-too-long", "4 bytes of data, want 0 float", with(weight([]uint64{0}, raw))),
		onnxAttack("dims-overflow", "more elements than can be counted", with(weight([]uint64{1 << 62, 1 << 62, 4}, raw))),
		onnxAttack("dims-wrap-to-one", "more elements than can be counted", with(weight([]uint64{most, most}, raw))),
		onnxAttack("dims-negative", "is negative", with(weight([]uint64{1<<64 - 1, 1<<64 - 1}, raw))),
		onnxAttack("dims-a-hundred", "more than 64 dimensions", with(weight(slices.Repeat([]uint64{1}, 100), raw))),
		onnxAttack("data-twice", "given twice", with(weight([]uint64{1}, raw, inside(tensorFloats, message("abcd"))))),
		onnxAttack("type-unknown", "element type 99", with(weight([]uint64{1}, raw, number(tensorType, 99)))),
		onnxAttack("strings", "string are not supported", with(weight([]uint64{1}, number(tensorType, 8), text(tensorString, "x")))),
		onnxAttack("segment", "segments are not supported", with(weight([]uint64{1}, raw, inside(tensorSegment, number(1, 0), number(2, 1<<40))))),
		onnxAttack("apart-up", "leads out of the folder", with(weight([]uint64{1}, apart("location", "../secret")))),
		onnxAttack("apart-up-and-down", "leads out of the folder", with(weight([]uint64{1}, apart("location", "a/../../secret")))),
		onnxAttack("apart-absolute", "leads out of the folder", with(weight([]uint64{1}, apart("location", "/etc/passwd")))),
		onnxAttack("apart-device", "leads out of the folder", with(weight([]uint64{1}, apart("location", "/dev/zero")))),
		onnxAttack("apart-nul", "invalid", with(weight([]uint64{1}, apart("location", "a\x00b")))),
		onnxAttack("apart-url", "no such file", with(weight([]uint64{1}, apart("location", "https://example.invalid/w")))),
		onnxAttack("apart-nowhere", "names no file", with(weight([]uint64{1}, apart("offset", "0")))),
		onnxAttack("apart-folder", "not a regular file", with(weight([]uint64{1}, apart("location", ".")))),
		onnxAttack("apart-offset-negative", `its offset is "-1"`, with(weight([]uint64{1}, apart("location", "w", "offset", "-1")))),
		onnxAttack("apart-offset-overflow", "its offset is", with(weight([]uint64{1}, apart("location", "w", "offset", "99999999999999999999")))),
		onnxAttack("apart-length-lies", "external data of 8 bytes, want 1 float", with(weight([]uint64{1}, apart("location", "w", "length", "8")))),
		onnxAttack("apart-behind-the-end", "bytes, want 4000000000 from byte", with(weight([]uint64{1e9}, apart("location", "apart-behind-the-end.onnx", "offset", "4")))),
	}
}

// nodes are .onnx files whose graph cannot be one.
func nodes() []attack {
	in, out := float(graphInput, "x"), float(graphOutput, "y")
	deep := message{}
	for range 3000 {
		deep = inside(graphNode, inside(nodeAttribute, number(attributeType, attributeIsGraph), inside(attributeGraph, deep)))
	}
	return []attack{
		onnxAttack("nothing", "the graph has no output", onnxModel()),
		onnxAttack("deep", "control flow", onnxModel(in, out, deep)),
		onnxAttack("control-flow", "control flow", onnxModel(in, out, node("If", "x", "y", inside(nodeAttribute, text(attributeName, "then_branch"),
			number(attributeType, attributeIsGraph), inside(attributeGraph))))),
		onnxAttack("sparse", "sparse tensors", onnxModel(in, out, inside(graphSparse))),
		onnxAttack("sequence", "not a tensor", onnxModel(inside(graphInput, text(1, "x"), inside(valueType, inside(typeSequence))), out)),
		onnxAttack("function", "functions are not supported", append(onnxModel(in, out, node("Mine", "x", "y")), inside(modelFunction, text(1, "Mine"))...)),
		onnxAttack("opset-twice", "is imported in versions", append(onnxModel(in, out, node("Relu", "x", "y")), inside(modelOpset, number(2, 9))...)),
		onnxAttack("opset-missing", "imports no version", append(number(modelIR, 8), inside(modelGraph, in, out, node("Relu", "x", "y"))...)),
		onnxAttack("circle", "which only a later node computes", onnxModel(in, out, node("Relu", "z", "y"), node("Relu", "y", "z"))),
		onnxAttack("reads-nothing", "which nothing defines", onnxModel(in, out, node("Relu", "nowhere", "y"))),
		onnxAttack("output-twice", "y", onnxModel(in, out, node("Relu", "x", "y"), node("Relu", "x", "y"))),
		onnxAttack("name-twice", "w", onnxModel(in, out, weight([]uint64{1}, text(tensorRaw, "abcd")), weight([]uint64{1}, text(tensorRaw, "abcd")))),
		onnxAttack("operator-nameless", "names no operator", onnxModel(in, out, node("", "x", "y"))),
		onnxAttack("tensor-missing", "the tensor is missing", onnxModel(in, out, node("Constant", "", "y", inside(nodeAttribute, text(attributeName, "value"), number(attributeType, 4))))),
		onnxAttack("constant-lies", "4 bytes of data, want 1000000000 float", onnxModel(in, out, node("Constant", "", "y", inside(nodeAttribute, text(attributeName, "value"),
			number(attributeType, 4), inside(attributeTensor, number(tensorDims, 1e9), number(tensorType, kindOfFloat), text(tensorRaw, "abcd")))))),
	}
}
