// Package config reads a YAML file into a struct of settings, strictly, and says of everything wrong where it stands.
//
// A struct starts with its defaults; the file, and then overrides of the form key=value, change what they name. Unknown and
// repeated keys, wrong types and broken rules are errors that name the file and line, or the override, and the nearest valid name.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"metalora/pipeline/fault"
)

// decodeFile reads a file's content into the struct that target points to.
func (o Origins) decodeFile(data []byte, target any) error {
	path := o.File
	reader := yaml.NewDecoder(bytes.NewReader(data))
	var root, more yaml.Node
	err := reader.Decode(&root)
	if errors.Is(err, io.EOF) {
		return nil // an empty file: all defaults
	}
	if err == nil {
		if err = reader.Decode(&more); errors.Is(err, io.EOF) {
			return o.decoder(target, func(line int) string { return path + ":" + strconv.Itoa(line) }).fill(root.Content[0])
		}
		if err == nil {
			err = fmt.Errorf("line %d: a second document; one is all there can be", more.Line)
		}
	}
	return fault.Input(fmt.Errorf("reading %s: %s", path, strings.TrimPrefix(err.Error(), "yaml: ")))
}

// decodeSet applies one override, key=value, where the value is YAML.
func (o Origins) decodeSet(set string, target any) error {
	key, value, ok := strings.Cut(set, "=")
	place := "--set " + set
	if !ok || key == "" {
		return fault.Usage(fmt.Errorf("%s: an override is written key=value, as in retrain.epochs=3", place))
	}
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(value), &root); err != nil {
		return fault.Usage(fmt.Errorf("%s: the value is no YAML: %s", place, strings.TrimPrefix(err.Error(), "yaml: ")))
	}
	node := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
	if len(root.Content) > 0 {
		node = root.Content[0]
	}
	parts := strings.Split(key, ".")
	for i := len(parts) - 1; i >= 0; i-- {
		name := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: parts[i]}
		node = &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{name, node}}
	}
	return o.decoder(target, func(int) string { return place }).fill(node)
}

// decoder fills a struct from YAML nodes, strictly: unknown keys, repeated keys and wrong types are errors. It goes where
// the struct goes, so aliases cannot make it deeper or, as lists hold plain values alone, longer than the file.
type decoder struct {
	origins Origins
	target  reflect.Value // the whole struct
	place   func(line int) string
}

func (o Origins) decoder(target any, place func(line int) string) *decoder {
	return &decoder{origins: o, target: reflect.ValueOf(target).Elem(), place: place}
}

func (d *decoder) fill(n *yaml.Node) error { return d.decode(n, d.target, "") }

func (d *decoder) fail(n *yaml.Node, key, format string, args ...any) error {
	if key != "" {
		key += ": "
	}
	return fault.Usage(fmt.Errorf("%s: %s%s", d.place(n.Line), key, fmt.Sprintf(format, args...)))
}

// decode sets v, the value of key, to what n says.
func (d *decoder) decode(n *yaml.Node, v reflect.Value, key string) error {
	if n.Kind == yaml.AliasNode {
		return d.decode(n.Alias, v, key)
	}
	if key != "" {
		d.origins.Keys[key] = d.place(n.Line)
	}
	if special, ok := v.Addr().Interface().(Decoder); ok {
		if err := special.DecodeNode(n); err != nil {
			return d.fail(n, key, "%v", err)
		}
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		return d.section(n, v, key)
	case reflect.Struct:
		return d.mapping(n, v, key)
	case reflect.Slice:
		return d.list(n, v, key)
	}
	return d.scalar(n, v, key)
}

// section decodes an optional mapping: null takes it away, anything else starts from the section's defaults.
func (d *decoder) section(n *yaml.Node, v reflect.Value, key string) error {
	if n.Tag == "!!null" {
		v.SetZero()
		return nil
	}
	if v.IsNil() {
		v.Set(reflect.New(v.Type().Elem()))
		v.Interface().(Section).SetDefaults()
	}
	return d.mapping(n, v.Elem(), key)
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, key string) error {
	if n.Tag == "!!null" {
		return nil // an empty section changes nothing
	}
	if n.Kind != yaml.MappingNode {
		return d.fail(n, key, "%s is no section; its keys are %s", describe(n), strings.Join(keysOf(v.Type()), ", "))
	}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		full := strings.TrimPrefix(key+"."+name.Value, ".")
		if line, twice := first[name.Value]; twice {
			return d.fail(name, "", "key %q is there twice, first on line %d", full, line)
		}
		first[name.Value] = name.Line
		field, ok := fieldOf(v, name.Value)
		if !ok {
			return d.fail(name, "", "unknown key %q%s", full, suggestKey(key, name.Value, v.Type(), d.target.Type()))
		}
		if err := d.decode(value, field, full); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, key string) error {
	if n.Kind != yaml.SequenceNode {
		return d.fail(n, key, "%s is no list; write [a, b]", describe(n))
	}
	list := reflect.MakeSlice(v.Type(), 0, len(n.Content))
	for _, item := range n.Content {
		element := reflect.New(v.Type().Elem()).Elem()
		if err := d.decode(item, element, key); err != nil {
			return err
		}
		list = reflect.Append(list, element)
	}
	v.Set(list)
	return nil
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, key string) error {
	if n.Kind != yaml.ScalarNode {
		return d.fail(n, key, "%s stands where one value belongs", describe(n))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(n.Value)
		if n.Tag == "!!null" {
			v.SetString("")
		}
	case reflect.Int:
		var i int64
		if n.Tag != "!!int" || n.Decode(&i) != nil || int64(int(i)) != i {
			return d.fail(n, key, "%s is no whole number", describe(n))
		}
		v.SetInt(i)
	case reflect.Float64:
		var f float64
		if n.Tag != "!!int" && n.Tag != "!!float" || n.Decode(&f) != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return d.fail(n, key, "%s is no number", describe(n))
		}
		v.SetFloat(f)
	case reflect.Bool:
		var b bool
		if n.Tag != "!!bool" || n.Decode(&b) != nil {
			return d.fail(n, key, "%s is neither true nor false", describe(n))
		}
		v.SetBool(b)
	default:
		panic("config: a configuration field of kind " + v.Kind().String())
	}
	return nil
}

// describe names a node in a message.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a section"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "nothing"
	}
	return strconv.Quote(n.Value)
}
