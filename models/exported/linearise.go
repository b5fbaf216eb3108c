package exported

import (
	"encoding/binary"
	"math"

	"metalora/onnx"
)

// Linearise brings the linear layers of any graph, whatever it computes, in the form in which adapters find them: MatMul, MatMul and
// Add, or Gemm, with a weight that may be transposed, become one Gemm with the initializer X.weight [out, in]. Initializers are no
// longer inputs. The names say what X is called in the file.
func Linearise(m *onnx.Model) (*onnx.Model, []Name, error) {
	if err := m.Check(); err != nil {
		return nil, nil, err
	}
	r := &rewriter{model: m.Clone()}
	for _, pass := range []func() error{r.constants, r.linears, r.prune} {
		if err := pass(); err != nil {
			return nil, nil, err
		}
	}
	var names []Name
	renamed := map[string]string{}
	for i, t := range r.model.Graph.Initializers {
		name := r.names.weights[t.Name]
		if name == nil {
			continue
		}
		names = append(names, *name)
		renamed[t.Name] = name.Name
		r.model.Graph.Initializers[i] = renamedTensor(t, *name)
	}
	for _, n := range r.model.Graph.Nodes {
		for i, v := range n.Inputs {
			if to, ok := renamed[v]; ok {
				n.Inputs[i] = to
			}
		}
	}
	return r.model, names, r.model.Check()
}

// renamedTensor is a weight under its name, and [out, in].
func renamedTensor(t *onnx.Tensor, name Name) *onnx.Tensor {
	c := *t
	c.Name = name.Name
	if name.Transposed {
		c.Dims = []int64{t.Dims[1], t.Dims[0]}
		c.Raw = make([]byte, 0, len(t.Raw))
		for _, x := range transposed(t) {
			c.Raw = binary.LittleEndian.AppendUint32(c.Raw, math.Float32bits(x))
		}
	}
	return &c
}
