package autodiff

import (
	"errors"
	"fmt"
	"slices"

	"metalora/onnx"
)

// lookup is one Gather from a table: the ids that were read and the cotangent of the rows, [..., width].
type lookup struct {
	ids, rows value
}

// checkTable refuses a value that cannot be a table of rows.
func (b *builder) checkTable(r Request, table value) error {
	if !slices.Contains(r.Wrt, table) {
		return fmt.Errorf("the gradient by it is not asked for")
	}
	if shape := b.info[table].Shape; len(shape) != 2 {
		return fmt.Errorf("it needs two dimensions, its shape is %v", shape)
	}
	if r.Of == table {
		return errors.New("it is the output itself")
	}
	if b.exists(idsPrefix + table) {
		return fmt.Errorf("the graph already has a value %q", idsPrefix+table)
	}
	return nil
}

// look notes that input i of n reads a table, whose row cotangent is then dy and has no dense form.
func (b *builder) look(n *onnx.Node, dy value, i int) {
	if n.Op != "Gather" || n.Domain != "" || i != 0 || n.Int("axis", 0) != 0 && n.Int("axis", 0) != -2 {
		b.refuse(n, fmt.Sprintf("it reads %q other than by Gather along axis 0, so the gradient cannot leave as rows", n.Input(i)))
		return
	}
	b.lookups[n.Input(0)] = append(b.lookups[n.Input(0)], lookup{n.Input(1), dy})
}

// rowsOf joins what was read of a table: the rows' cotangents and their ids, in the order of the forward graph.
func (b *builder) rowsOf(table value) (rows, ids value) {
	found := slices.Clone(b.lookups[table])
	slices.Reverse(found)
	width := b.sizeOf(table, 1)
	switch len(found) {
	case 0:
		none := &onnx.Tensor{Type: onnx.Int64, Dims: []int64{1}, Raw: make([]byte, 8)}
		ids = b.with("ConstantOfShape", []value{b.vec(0)}, onnx.Attr{Name: "value", Kind: onnx.KindTensor, T: none})
		return b.filled(0, b.concat(b.vec(0), width)), ids
	case 1:
		return found[0].rows, found[0].ids
	}
	var allRows, allIDs []value
	for _, l := range found {
		allRows = append(allRows, b.op("Reshape", l.rows, b.concat(b.vec(-1), width)))
		allIDs = append(allIDs, b.op("Reshape", b.int64(l.ids), b.vec(-1)))
	}
	return b.concat(allRows...), b.concat(allIDs...)
}

// int64 is v as an int64 tensor.
func (b *builder) int64(v value) value {
	if t, known := b.info[v]; !known || t.Type == onnx.Int64 {
		return v
	}
	return b.cast(v, onnx.Int64)
}

// rowInfo describes the rows read at ids: the shape of the ids, then the table's width.
func (b *builder) rowInfo(table, ids value) onnx.ValueInfo {
	info := onnx.ValueInfo{Type: b.info[table].Type}
	if shape := b.info[ids].Shape; shape != nil {
		info.Shape = append(slices.Clone(shape), b.info[table].Shape[1])
	}
	return info
}

// idsOutput makes the ids known outside: they are a graph input already, or become an output.
func (b *builder) idsOutput(table, ids value) string {
	if b.isInput(ids) && b.info[ids].Type == onnx.Int64 {
		return ids
	}
	name := b.out.Named(idsPrefix+table, "Identity", []value{b.int64(ids)})
	b.out.Graph.Outputs = append(b.out.Graph.Outputs, onnx.ValueInfo{Name: name, Type: onnx.Int64, Shape: b.info[ids].Shape})
	return name
}
