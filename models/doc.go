// Package models knows transformer encoders the way Hugging Face stores them.
//
// A model is three things that stay apart: a [Config] (the sizes), tensors by name (the weights), and the graph that
// [Config.Forward] builds from a Config alone. Weights are inputs of the graph, under the names they have in the file, so one
// graph serves every set of weights and is a few kilobytes long. A [Folder] is config, weights and tokenizer on disk.
package models
