package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// keyOf is a field's key in YAML, empty for one that has none.
func keyOf(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return key
}

// keysOf lists the keys of a section, in the order of its struct.
func keysOf(t reflect.Type) []string {
	var keys []string
	for f := range t.Fields() {
		if key := keyOf(f); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

func fieldOf(v reflect.Value, key string) (reflect.Value, bool) {
	for f, value := range v.Fields() {
		if key != "" && keyOf(f) == key {
			return value, true
		}
	}
	return reflect.Value{}, false
}

// Keys lists the full names of every single value of a section.
func Keys(t reflect.Type) []string { return keysBelow(t, "") }

func keysBelow(t reflect.Type, prefix string) []string {
	var keys []string
	for f := range t.Fields() {
		key, inner := keyOf(f), f.Type
		if key == "" {
			continue
		}
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			keys = append(keys, keysBelow(inner, prefix+key+".")...)
			continue
		}
		keys = append(keys, prefix+key)
	}
	return keys
}

// suggestKey ends a message about an unknown key of a section: a key of that section that is spelt alike, or the same
// key where it belongs in the whole struct, or all keys of the section.
func suggestKey(section, name string, t, whole reflect.Type) string {
	siblings := keysOf(t)
	if section != "" {
		for i := range siblings {
			siblings[i] = section + "." + siblings[i]
		}
		name = section + "." + name
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	if !slices.ContainsFunc(siblings, func(s string) bool { return edits(name, s) <= max(2, len(last)/3) }) {
		var elsewhere []string
		for _, key := range Keys(whole) {
			if strings.HasSuffix(key, "."+last) {
				elsewhere = append(elsewhere, key)
			}
		}
		if len(elsewhere) > 0 {
			return fmt.Sprintf(" (did you mean %s?)", strings.Join(elsewhere, " or "))
		}
		return fmt.Sprintf(" (valid: %s)", strings.Join(siblings, ", "))
	}
	return Suggest(name, siblings)
}
