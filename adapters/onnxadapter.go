package adapters

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"metalora/models/safetensors"
	"metalora/pipeline/disk"
)

// SaveONNX writes tensors as an .onnx_adapter file, which ONNX Runtime takes for inputs of a model by their names.
//
// The format is a FlatBuffer with the identifier TORT:
//
//	table Parameter { name: string; dims: [int64]; data_type: int32; raw_data: [uint8]; }
//	table Adapter   { format_version: int32; adapter_version: int32; model_version: int32; parameters: [Parameter]; }
func SaveONNX(path string, tensors safetensors.Tensors) error {
	data := encodeONNX(tensors)
	if len(data) > math.MaxInt32 {
		return fmt.Errorf("writing %s: %d bytes are more than the 2 GB that its format can hold", path, len(data))
	}
	return disk.Replace(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// encodeONNX lays the tables out one after another, each before what it points to.
func encodeONNX(tensors safetensors.Tensors) []byte {
	const adapterTable = 20 // where the root table begins, behind its vtable
	b := &flatBuffer{}
	b.uint32(adapterTable)
	b.data = append(b.data, "TORT"...)
	b.vtable()
	b.uint32(adapterTable - 8) // back to the vtable
	for range 3 {              // versions of the format, the adapter and the model
		b.uint32(1)
	}
	parameters := b.pointer()
	names := tensors.Names()
	b.point(parameters)
	b.uint32(uint32(len(names)))
	var entries []int
	for range names {
		entries = append(entries, b.pointer())
	}
	b.align(4)
	vtable := len(b.data)
	b.vtable()
	for i, name := range names {
		b.point(entries[i])
		b.parameter(vtable, name, tensors[name])
	}
	return b.data
}

// flatBuffer is a FlatBuffer in the making.
type flatBuffer struct{ data []byte }

func (b *flatBuffer) uint32(x uint32) { b.data = binary.LittleEndian.AppendUint32(b.data, x) }
func (b *flatBuffer) uint16(x uint16) { b.data = binary.LittleEndian.AppendUint16(b.data, x) }

// align fills up to a multiple of n.
func (b *flatBuffer) align(n int) {
	for len(b.data)%n != 0 {
		b.data = append(b.data, 0)
	}
}

// pointer leaves room for an offset; point lets it show to what is written next.
func (b *flatBuffer) pointer() int {
	b.uint32(0)
	return len(b.data) - 4
}

func (b *flatBuffer) point(from int) {
	b.align(4)
	binary.LittleEndian.PutUint32(b.data[from:], uint32(len(b.data)-from))
}

// vtable describes a table of four fields of four bytes each, which both tables are.
func (b *flatBuffer) vtable() {
	for _, x := range []uint16{12, 20, 4, 8, 12, 16} { // sizes of vtable and table, places of the fields
		b.uint16(x)
	}
}

// parameter writes one tensor.
func (b *flatBuffer) parameter(vtable int, name string, t safetensors.Tensor) {
	const float = 1 // ONNX's number of the type
	b.uint32(uint32(len(b.data) - vtable))
	nameAt, dimsAt := b.pointer(), b.pointer()
	b.uint32(float)
	rawAt := b.pointer()

	b.point(nameAt)
	b.uint32(uint32(len(name)))
	b.data = append(append(b.data, name...), 0)

	b.vector(dimsAt, len(t.Shape))
	for _, d := range t.Shape {
		b.data = binary.LittleEndian.AppendUint64(b.data, uint64(d))
	}
	b.vector(rawAt, 4*len(t.Data))
	for _, x := range t.Data {
		b.uint32(math.Float32bits(x))
	}
}

// vector begins a vector whose elements lie at multiples of eight bytes.
func (b *flatBuffer) vector(from, length int) {
	b.align(4)
	if len(b.data)%8 == 0 {
		b.uint32(0)
	}
	b.point(from)
	b.uint32(uint32(length))
}
