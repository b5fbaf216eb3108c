package pipeline

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"metalora/pipeline/golden"
	"metalora/pipeline/linear"
)

const configurationPage = "../docs/reference/configuration.md"

// TestConfigurationPage: the page of all keys is what the structs, their comments and the defaults say.
func TestConfigurationPage(t *testing.T) {
	var page strings.Builder
	page.WriteString("# Configuration\n\nWritten from the code by `go test ./pipeline -run ConfigurationPage -update`; a test fails where they differ.\n\n" +
		"A configuration is a YAML file; `--set key=value` overrides a value, with the full name of its key. Unknown keys are refused, with the nearest that\n" +
		"exists. Every key has a default; the run folder's `experiment.yaml` has all of them written out.\n\n## Experiments\n\nFor `run`, `plan`, `unit`, `submit`, `status`, `report`.\n\n")
	keyTable(t, &page, ".", reflect.ValueOf(Default()))
	fmt.Fprintf(&page, "\n`retrain.methods`: %s. `adapt.families`: %s. R is the rank.\n", nameList(methods), nameList(families))
	page.WriteString("\n## The linear study\n\nFor `linear`.\n\n")
	keyTable(t, &page, "linear", reflect.ValueOf(linear.Default()))
	golden.Compare(t, configurationPage, page.String())
}

func nameList(vs variants) string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(vs)) {
		if vs[name] {
			name += "-R"
		}
		names = append(names, "`"+name+"`")
	}
	return strings.Join(names, ", ")
}

// keyTable writes the keys of a configuration: name, kind, default, and what the code says beside the field.
func keyTable(t *testing.T, page *strings.Builder, dir string, defaults reflect.Value) {
	t.Helper()
	page.WriteString("| key | kind | default | |\n|---|---|---|---|\n")
	comments := fieldComments(t, dir)
	var below func(prefix string, v reflect.Value)
	below = func(prefix string, v reflect.Value) {
		for f, value := range v.Fields() {
			key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			if key == "" || !f.IsExported() {
				continue
			}
			note := comments[v.Type().Name()+"."+f.Name]
			inner := value
			if f.Type.Kind() == reflect.Pointer {
				inner = sectionDefaults(f.Type.Elem())
				note = strings.TrimSpace(note + " (left out, unless it is given)")
			}
			if inner.Kind() == reflect.Struct {
				if note == "" {
					note = comments[inner.Type().Name()]
				}
				fmt.Fprintf(page, "| **%s** | section | | %s |\n", prefix+key, cellText(note))
				below(prefix+key+".", inner)
				continue
			}
			fmt.Fprintf(page, "| `%s` | %s | %s | %s |\n", prefix+key, kindInWords(f.Type), cellText(asYAML(t, value)), cellText(note))
		}
	}
	below("", defaults.Elem())
}

// sectionDefaults are the values of a section that is not there unless it is given.
func sectionDefaults(of reflect.Type) reflect.Value {
	section := reflect.New(of)
	if s, ok := section.Interface().(interface{ SetDefaults() }); ok {
		s.SetDefaults()
	}
	return section.Elem()
}

// kindInWords is a field's kind in words.
func kindInWords(of reflect.Type) string {
	switch of.Kind() {
	case reflect.Slice:
		return kindInWords(of.Elem()) + "s"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "word"
	case reflect.Float64:
		return "number"
	}
	return "whole number"
}

func asYAML(t *testing.T, v reflect.Value) string {
	t.Helper()
	text, err := yaml.Marshal(map[string]any{"x": v.Interface()})
	if err != nil {
		t.Fatal(err)
	}
	out := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(string(text)), "x:"))
	if items := strings.Split(out, "\n"); len(items) > 1 || strings.HasPrefix(out, "- ") {
		for i := range items {
			items[i] = strings.TrimPrefix(strings.TrimSpace(items[i]), "- ")
		}
		out = "[" + strings.Join(items, ", ") + "]"
	}
	return "`" + out + "`"
}

func cellText(text string) string {
	text = strings.ReplaceAll(text, "[NoPersonas]", NoPersonas)
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}

// fieldComments are the comments of a package's struct fields, and of the structs for fields of their type, by "Struct.Field".
func fieldComments(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), dir+"/"+file.Name(), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			if d, ok := n.(*ast.GenDecl); ok && len(d.Specs) == 1 {
				if spec, ok := d.Specs[0].(*ast.TypeSpec); ok {
					found[spec.Name.Name] = d.Doc.Text()
				}
			}
			if spec, ok := n.(*ast.TypeSpec); ok {
				if s, ok := spec.Type.(*ast.StructType); ok {
					for _, field := range s.Fields.List {
						for _, name := range field.Names {
							found[spec.Name.Name+"."+name.Name] = field.Doc.Text() + field.Comment.Text()
						}
					}
				}
			}
			return true
		})
	}
	return found
}
