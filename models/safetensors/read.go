package safetensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"

	"metalora/pipeline/confined"
)

// File is an open file whose header has been checked.
type File struct {
	file     *os.File
	path     string
	infos    []Info // in the order of the data
	byName   map[string]int
	metadata map[string]string
}

// Open reads and checks the header of the file at path.
func Open(path string) (*File, error) {
	file, err := confined.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading tensors: %w", err)
	}
	return NewFile(file, path)
}

// OpenIn is [Open] for a file of a folder, out of which no link leads.
func OpenIn(folder *confined.Folder, name string) (*File, error) {
	file, err := folder.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading tensors: %w", err)
	}
	return NewFile(file, file.Name())
}

// NewFile takes over an open file, which it closes where the header is bad. Errors name it by path.
func NewFile(file *os.File, path string) (*File, error) {
	f := &File{file: file, path: path}
	if err := f.readHeader(); err != nil {
		return nil, errors.Join(fmt.Errorf("reading %s: %w", path, err), file.Close())
	}
	return f, nil
}

func (f *File) readHeader() error {
	stat, err := f.file.Stat()
	if err != nil {
		return err
	}
	if !stat.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	if stat.Size() < 8 {
		return fmt.Errorf("%d bytes are too few for a safetensors file", stat.Size())
	}
	var length [8]byte
	if _, err := f.file.ReadAt(length[:], 0); err != nil {
		return err
	}
	n, rest := binary.LittleEndian.Uint64(length[:]), stat.Size()-8
	if n > MaxHeader || n > uint64(rest) {
		return fmt.Errorf("header of %d bytes, the file has %d and at most %d are read", n, rest, MaxHeader)
	}
	raw := make([]byte, n)
	if _, err := f.file.ReadAt(raw, 8); err != nil {
		return err
	}
	if f.infos, f.metadata, err = parseHeader(raw, rest-int64(n)); err != nil {
		return err
	}
	f.byName = make(map[string]int, len(f.infos))
	for i := range f.infos {
		f.infos[i].Offset += 8 + int64(n)
		f.byName[f.infos[i].Name] = i
	}
	return nil
}

// Infos lists the tensors in the order of their data.
func (f *File) Infos() []Info { return slices.Clone(f.infos) }

// Metadata is the header's free text, such as "format": "pt".
func (f *File) Metadata() map[string]string { return maps.Clone(f.metadata) }

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

// Float32 reads a tensor of floats: F32 as it is, F16 and BF16 widened exactly, F64 rounded to nearest.
func (f *File) Float32(name string) ([]float32, error) {
	return read(f, name, map[string]decoder[float32]{
		"F32": func(to []float32, b []byte) {
			for i := range to {
				to[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
			}
		},
		"F64": func(to []float32, b []byte) {
			for i := range to {
				to[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:])))
			}
		},
		"BF16": func(to []float32, b []byte) {
			for i := range to {
				to[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(b[2*i:])) << 16)
			}
		},
		"F16": func(to []float32, b []byte) {
			for i := range to {
				to[i] = Half(binary.LittleEndian.Uint16(b[2*i:]))
			}
		},
	})
}

// Float64 reads a tensor of F64, or of F32 widened.
func (f *File) Float64(name string) ([]float64, error) {
	return read(f, name, map[string]decoder[float64]{
		"F64": func(to []float64, b []byte) {
			for i := range to {
				to[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
			}
		},
		"F32": func(to []float64, b []byte) {
			for i := range to {
				to[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
			}
		},
	})
}

// Int64 reads a tensor of I64.
func (f *File) Int64(name string) ([]int64, error) {
	return read(f, name, map[string]decoder[int64]{
		"I64": func(to []int64, b []byte) {
			for i := range to {
				to[i] = int64(binary.LittleEndian.Uint64(b[8*i:]))
			}
		},
	})
}

// decoder fills to with as many elements of the file, which b holds.
type decoder[T any] func(to []T, b []byte)

// pieceBytes are read and decoded at a time, a multiple of every width: few enough to stay in a core's cache, and to leave
// little garbage behind hundreds of tensors.
const pieceBytes = 1 << 16

// read decodes a tensor with the decoder of its type, a piece of the file at a time.
func read[T any](f *File, name string, decoders map[string]decoder[T]) ([]T, error) {
	i, ok := f.byName[name]
	if !ok {
		return nil, fmt.Errorf("reading %s: no tensor %q", f.path, name)
	}
	info := f.infos[i]
	decode, ok := decoders[info.DType]
	if !ok {
		return nil, fmt.Errorf("reading %s: tensor %q: dtype %s, want one of %v", f.path, name, info.DType, slices.Sorted(maps.Keys(decoders)))
	}
	width := int(bitsOf[info.DType] / 8)
	out := make([]T, info.Bytes/int64(width))
	data := io.NewSectionReader(f.file, info.Offset, info.Bytes)
	piece := make([]byte, min(info.Bytes, pieceBytes))
	for left := out; len(left) > 0; {
		n := min(len(left), len(piece)/width)
		if _, err := io.ReadFull(data, piece[:n*width]); err != nil {
			return nil, fmt.Errorf("reading %s: tensor %q: %w", f.path, name, err)
		}
		decode(left[:n], piece)
		left = left[n:]
	}
	return out, nil
}

// Half widens an IEEE 754 binary16 number.
func Half(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, uint32(h>>10)&31, uint32(h)&1023
	switch exponent {
	case 0: // zero and subnormal: fraction x 2^-24, exact in float32
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)*0x1p-24))
	case 31: // infinite and NaN
		return math.Float32frombits(sign | 255<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// Load reads every tensor of floats in the file at path; tensors of other types are passed over. A weight that is NaN
// or infinite is an error: it would turn up much later as a loss that is NaN.
func Load(path string) (Tensors, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Tensors()
}

// Tensors reads what [Load] reads from a file that is open.
func (f *File) Tensors() (Tensors, error) {
	tensors := Tensors{}
	for _, info := range f.infos {
		if !info.Floating() {
			continue
		}
		t, err := f.Tensor(info.Name)
		if err != nil {
			return nil, err
		}
		tensors[info.Name] = t
	}
	return tensors, nil
}

// Tensor reads one tensor of floats, each of which must be finite.
func (f *File) Tensor(name string) (Tensor, error) {
	data, err := f.Float32(name)
	if err != nil {
		return Tensor{}, err
	}
	if i := notFinite(data); i >= 0 {
		return Tensor{}, fmt.Errorf("reading %s: tensor %q: element %d is %v", f.path, name, i, data[i])
	}
	return Tensor{slices.Clone(f.infos[f.byName[name]].Shape), data}, nil
}

// Floating says whether [File.Float32] can read the tensor.
func (i Info) Floating() bool { return slices.Contains([]string{"F32", "F16", "BF16", "F64"}, i.DType) }
