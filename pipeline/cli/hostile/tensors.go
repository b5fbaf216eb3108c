package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"metalora/models/safetensors"
)

// The small BERT that hostile parts are put into.
const model = "models/testdata/micro/bert-relu"

// file is a safetensors file of a header and data.
func file(header string, data ...byte) []byte {
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), data...)
}

// tensor is the entry of a header.
func tensor(name, dtype, shape string, from, to int) string {
	return fmt.Sprintf(`%q:{"dtype":%q,"shape":[%s],"data_offsets":[%d,%d]}`, name, dtype, shape, from, to)
}

// headers are .safetensors files whose headers lie.
func headers() []attack {
	four := make([]byte, 4)
	entry := func(e ...string) string { return "{" + strings.Join(e, ",") + "}" }
	var all []attack
	add := func(name, want string, data []byte) {
		all = append(all, attack{room: "models/safetensors", name: name + ".safetensors", data: data,
			verb: []string{"model", "inspect", "PATH"}, code: 3, want: want})
	}
	add("empty", "0 bytes are too few", nil)
	add("seven-bytes", "7 bytes are too few", make([]byte, 7))
	add("length-of-all", "header of 18446744073709551615 bytes", []byte(strings.Repeat("\xff", 16)))
	add("length-beyond-end", "header of 1000 bytes", append(binary.LittleEndian.AppendUint64(nil, 1000), "{}"...))
	add("length-zero", "does not start with '{'", make([]byte, 8))
	add("a-pickle", "header of", []byte("\x80\x04cposix\nsystem\n(Vid\ntR."))
	add("list", "does not start with '{'", file("[]"))
	add("no-json", "not one JSON object", file("{a}"))
	add("two-objects", "not one JSON object", file("{}{}"))
	add("no-utf8", "not UTF-8", file("{\"\xff\":1}"))
	add("deep", "not one JSON object", file(`{"a":`+strings.Repeat("[", 20_000)))
	add("name-twice", `key "a" comes twice`, file(entry(tensor("a", "F32", "1", 0, 4), tensor("a", "F32", "1", 0, 4)), four...))
	add("name-twice-escaped", `key "a" comes twice`, file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\u0061":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, four...))
	add("dtype-twice", `key "dtype" comes twice`, file(`{"a":{"dtype":"F32","dtype":"U8","shape":[1],"data_offsets":[0,4]}}`, four...))
	add("metadata-number", "found 1 where a string is due", file(`{"__metadata__":{"format":1}}`))
	add("offsets-backwards", "run backwards", file(entry(tensor("a", "F32", "1", 4, 0)), four...))
	add("offsets-negative", "found -4 where a size is due", file(entry(tensor("a", "F32", "1", -4, 0)), four...))
	add("offsets-three", "needs a shape and two data_offsets", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,2,4]}}`, four...))
	add("shape-missing", "needs a shape", file(`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, four...))
	add("shape-overflow", "more elements than can be counted", file(entry(tensor("a", "F32", "4294967296,4294967296,4", 0, 4)), four...))
	add("shape-wraps-to-one", "more elements than can be counted", file(entry(tensor("a", "F32", "9223372036854775807,9223372036854775807", 0, 4)), four...))
	add("shape-negative", "found -1 where a size is due", file(entry(tensor("a", "F32", "-1,-1", 0, 4)), four...))
	add("shape-fraction", "found 1.5 where a size is due", file(entry(tensor("a", "F32", "1.5", 0, 4)), four...))
	add("shape-of-65", "more than 64 dimensions", file(entry(tensor("a", "F32", strings.Repeat("1,", 64)+"1", 0, 4)), four...))
	add("shape-too-large", "does not fit its 4 bytes", file(entry(tensor("a", "F32", "1000000000", 0, 4)), four...))
	add("dtype-unknown", `unknown dtype "PICKLE"`, file(entry(tensor("a", "PICKLE", "1", 0, 4)), four...))
	add("half-a-byte", "does not fit", file(entry(tensor("a", "F4", "3", 0, 2)), 0, 0))
	add("hole", "starts at byte 2", file(entry(tensor("a", "U8", "2", 2, 4)), four...))
	add("overlap", "starts at byte 2", file(entry(tensor("a", "U8", "4", 0, 4), tensor("b", "U8", "2", 2, 4)), four...))
	add("ends-behind-the-end", "ends at byte 1000000000000", file(entry(tensor("a", "U8", "1000000000000", 0, 1000000000000)), four...))
	add("data-left-over", "tensors end at byte 2", file(entry(tensor("a", "U8", "2", 0, 2)), four...))
	return all
}

func readBase(root string) (safetensors.Tensors, error) {
	return safetensors.Load(filepath.Join(root, model, "model.safetensors"))
}

// encode writes tensors as a safetensors file, whatever they hold.
func encode(t safetensors.Tensors) []byte {
	header, data := map[string]any{}, []byte{}
	for _, name := range t.Names() {
		from := len(data)
		for _, x := range t[name].Data {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
		}
		header[name] = map[string]any{"dtype": "F32", "shape": t[name].Shape, "data_offsets": []int{from, len(data)}}
	}
	text, err := json.Marshal(header)
	if err != nil {
		panic(err) // numbers and strings
	}
	return file(string(text), data...)
}

// weights are model.safetensors files of a model that do not go with its config.json, or hold what is no number.
func weights(base safetensors.Tensors) []attack {
	const word, bias = "bert.embeddings.word_embeddings.weight", "bert.encoder.layer.0.output.dense.bias"
	var all []attack
	add := func(name, want string, change func(safetensors.Tensors)) {
		t := base.Clone()
		change(t)
		all = append(all, attack{room: "models", name: "weights-" + name + ".safetensors", data: encode(t),
			verb: []string{"model", "inspect", "PATH"}, base: model, as: "model.safetensors", code: 3, want: want})
	}
	add("nan", "is NaN", func(t safetensors.Tensors) { t[bias].Data[3] = float32(math.NaN()) })
	add("infinite", "is -Inf", func(t safetensors.Tensors) { t[word].Data[0] = float32(math.Inf(-1)) })
	add("missing", "is missing", func(t safetensors.Tensors) { delete(t, bias) })
	add("other-shape", "has shape", func(t safetensors.Tensors) {
		t[bias] = safetensors.Tensor{Shape: []int{1, len(t[bias].Data)}, Data: t[bias].Data}
	})
	add("twice", "is there twice", func(t safetensors.Tensors) { t[strings.TrimPrefix(bias, "bert.")] = t[bias] })
	return all
}
