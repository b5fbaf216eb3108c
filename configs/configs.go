// Package configs holds the experiments that come with the program.
package configs

import _ "embed"

// Demo is the experiment of `metalora demo`: made-up dialogues and a small model, so it needs no other file.
//
//go:embed demo.yaml
var Demo []byte

// Linear is the study of `metalora linear`: the paper's, with every value.
//
//go:embed linear.yaml
var Linear []byte
