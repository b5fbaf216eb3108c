package onnx_test

import (
	"fmt"
	"log"

	"metalora/onnx"
)

// A graph is built operator by operator; values are their names, and dimensions sizes or symbols.
func Example() {
	b := onnx.NewBuilder(&onnx.Graph{Name: "classifier"})
	x := b.Input("x", onnx.Float, "rows", "length", 768)
	w := b.Input("dense.weight", onnx.Float, 2, 768)
	flat := b.Op("Reshape", []string{x, b.Ints(-1, 768)})
	b.Named("logits", "Gemm", []string{flat, w}, onnx.IntAttr("transB", 1))
	b.Output("logits", onnx.Float, "rows*length", 2)

	m := onnx.NewModel(b.Graph)
	if err := m.Check(); err != nil {
		log.Fatal(err)
	}
	values, err := onnx.Infer(m)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(values[flat].Type, values[flat].Shape)
	fmt.Println(values["logits"].Type, values["logits"].Shape)
	// Output:
	// float [length*rows 768]
	// float [length*rows 2]
}

// What can't fit is found before anything runs, and the node is named.
func ExampleInfer() {
	b := onnx.NewBuilder(&onnx.Graph{})
	x, w := b.Input("x", onnx.Float, "rows", 768), b.Input("w", onnx.Float, 512, 2)
	b.Op("MatMul", []string{x, w})
	_, err := onnx.Infer(onnx.NewModel(b.Graph))
	fmt.Println(err)
	// Output:
	// inferring shapes: node "MatMul" (MatMul): [rows 768] x [512 2]: the inner dimensions 768 and 512 differ
}

// Marshal and Unmarshal are the way to a file's bytes and back.
func ExampleModel_Marshal() {
	b := onnx.NewBuilder(&onnx.Graph{})
	b.Named("y", "Softmax", []string{b.Input("x", onnx.Float, "rows", 20)})
	b.Output("y", onnx.Float, "rows", 20)
	data, err := onnx.NewModel(b.Graph).Marshal()
	if err != nil {
		log.Fatal(err)
	}
	m, err := onnx.Unmarshal(data)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Opsets, m.Graph.Nodes[0], m.Graph.Outputs[0].Shape)
	// Output:
	// map[:20] node "Softmax" (Softmax) [rows 20]
}
