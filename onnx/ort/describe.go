package ort

import (
	"fmt"
	"slices"

	"metalora/onnx"

	engine "github.com/yalue/onnxruntime_go"
)

// surface is what a model shows to its user: inputs that must be fed, outputs that can be fetched.
type surface struct {
	inputs, outputs []onnx.ValueInfo
}

// describe finds a model's surface. The engine is asked where package onnx cannot read the model (control flow, data
// in other files): it has to prepare the whole model for that, and it does not tell a scalar from a value of unknown
// rank.
func describe(model []byte, m *onnx.Model) (*surface, error) {
	if m != nil {
		return surfaceOf(m.Graph), lethal(m, true)
	}
	if m, err := onnx.Unmarshal(model); err == nil {
		return surfaceOf(m.Graph), lethal(m, false)
	}
	ins, outs, err := engine.GetInputOutputInfoWithONNXData(model)
	return &surface{infos(ins), infos(outs)}, err
}

// describeFile is describe for a file.
func describeFile(path string) (*surface, error) {
	if m, err := onnx.ReadFile(path); err == nil {
		return surfaceOf(m.Graph), lethal(m, false)
	}
	ins, outs, err := engine.GetInputOutputInfo(path)
	return &surface{infos(ins), infos(outs)}, err
}

func surfaceOf(g *onnx.Graph) *surface {
	return &surface{required(g), slices.Clone(g.Outputs)}
}

// choose narrows the outputs to the named ones, in the order of the names; nil keeps all.
func (g *surface) choose(wanted []string) error {
	if wanted == nil {
		return nil
	}
	var picked []onnx.ValueInfo
	for _, name := range wanted {
		i := slices.IndexFunc(g.outputs, func(v onnx.ValueInfo) bool { return v.Name == name })
		if i < 0 {
			return fmt.Errorf("it has no output %q; it has %s", name, some(names(g.outputs)))
		}
		picked = append(picked, g.outputs[i])
	}
	g.outputs = picked
	return nil
}

// required leaves out the inputs that have an initializer to fall back on, as older exports list them.
func required(g *onnx.Graph) []onnx.ValueInfo {
	constant := map[string]bool{}
	for _, t := range g.Initializers {
		constant[t.Name] = true
	}
	var inputs []onnx.ValueInfo
	for _, v := range g.Inputs {
		if !constant[v.Name] {
			inputs = append(inputs, v)
		}
	}
	return inputs
}

// infos translates the engine's descriptions. Its element types are numbered as ONNX's.
func infos(list []engine.InputOutputInfo) []onnx.ValueInfo {
	var values []onnx.ValueInfo
	for _, v := range list {
		info := onnx.ValueInfo{Name: v.Name, Type: onnx.DType(v.DataType)}
		for _, d := range v.Dimensions {
			info.Shape = append(info.Shape, onnx.Dim{Size: d})
		}
		values = append(values, info)
	}
	return values
}

func names(values []onnx.ValueInfo) []string {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = v.Name
	}
	return list
}
