package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"metalora/pipeline/confined"
	"metalora/pipeline/fault"
)

// Origins remembers where each key was given, for messages and for the command that gives the same settings again.
type Origins struct {
	File string
	Sets []string          // the overrides
	Keys map[string]string // "retrain.epochs" -> "a.yaml:12" or "--set retrain.epochs=0"
}

// Decoder is a setting that reads itself from YAML.
type Decoder interface{ DecodeNode(*yaml.Node) error }

// Section is an optional mapping, a pointer in its struct: it fills in its defaults once it is asked for.
type Section interface{ SetDefaults() }

// MaxBytes bounds a file of settings, which takes a hundred times as much memory as nodes; the longest sensible one has a few
// kilobytes.
const MaxBytes = 128 << 10

// Read reads a file of settings into memory.
func Read(path string) ([]byte, error) {
	data, err := confined.Read(path, MaxBytes)
	if err != nil {
		return nil, fault.Input(fmt.Errorf("reading settings: %w", err))
	}
	return data, nil
}

// Parse reads the content of a file, and then overrides of the form key=value, into the struct that target points to, which
// holds the defaults. path is the file's name in messages.
func Parse(path string, data []byte, sets []string, target any) (Origins, error) {
	o := Origins{File: path, Keys: map[string]string{}, Sets: sets}
	if len(data) > MaxBytes {
		return o, fault.Input(fmt.Errorf("reading %s: more than %d bytes are no file of settings", path, MaxBytes))
	}
	if err := o.decodeFile(data, target); err != nil {
		return o, err
	}
	for _, set := range sets {
		if err := o.decodeSet(set, target); err != nil {
			return o, err
		}
	}
	return o, nil
}

// Of is where a key, or the section around it, was given; else the file.
func (o Origins) Of(key string) string {
	for key != "" {
		if place, ok := o.Keys[key]; ok {
			return place
		}
		key = key[:max(0, strings.LastIndexByte(key, '.'))]
	}
	return o.File
}

// Problem is a usage error about a key's value, with the place where the value was given.
func (o Origins) Problem(key, format string, args ...any) error {
	return fault.Usage(fmt.Errorf("%s: %s: %s", o.Of(key), key, fmt.Sprintf(format, args...)))
}

// Check returns the first rule that is broken.
func (o Origins) Check(rules []Rule) error {
	for _, r := range rules {
		if !r.Holds {
			return o.Problem(r.Key, "%s", r.Problem)
		}
	}
	return nil
}

// Source is the file and its overrides as they stand in a command.
func (o Origins) Source() string {
	parts := []string{o.File}
	for _, set := range o.Sets {
		parts = append(parts, "--set", set)
	}
	for i, part := range parts {
		if strings.ContainsFunc(part, func(r rune) bool { return !strings.ContainsRune(plainInShell, r) }) {
			parts[i] = "'" + strings.ReplaceAll(part, "'", `'\''`) + "'"
		}
	}
	return strings.Join(parts, " ")
}

// plainInShell are the characters that no shell reads as anything else.
const plainInShell = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%"

// Write writes a struct with every value, so that [Parse] of it gives the same.
func Write(w io.Writer, source any) error {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := errors.Join(encoder.Encode(source), encoder.Close()); err != nil {
		return fmt.Errorf("writing settings: %w", err)
	}
	_, err := w.Write(out.Bytes())
	return err
}
