// Package onnxpb is the protobuf form of ONNX files. Package onnx alone imports it; everything else works on that
// package's plain Go values.
//
// onnx.proto is the schema of ONNX 1.12 (IR version 8), unchanged, as Debian's libonnx-dev installs it in
// /usr/include/onnx. onnx.pb.go is generated from it with protoc 3.21.12 and protoc-gen-go v1.36.12 by the line below.
// Files of later IR versions read as well: fields that the schema does not know are kept apart and ignored.
//
// The schema is Copyright (c) ONNX Project Contributors, licensed under the Apache License 2.0
// (https://www.apache.org/licenses/LICENSE-2.0).
package onnxpb

//go:generate protoc --go_out=. --go_opt=paths=source_relative --go_opt=Monnx.proto=metalora/onnx/onnxpb onnx.proto
