package safetensors

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// What a header may ask to be kept. The reference implementation allows 100 MB, which hold a million tensors and take six times
// as much memory decoded; the largest files in use have a header of some 100 kB.
const (
	MaxHeader  = 8 << 20
	maxTensors = 50_000
	maxRank    = 64 // more than any tensor library allows
)

// bitsOf is the size of an element of each type of the format.
var bitsOf = map[string]uint64{
	"BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
	"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
	"I16": 16, "U16": 16, "F16": 16, "BF16": 16,
	"I32": 32, "U32": 32, "F32": 32,
	"I64": 64, "U64": 64, "F64": 64, "C64": 64,
}

// Info says what a header says about one tensor.
type Info struct {
	Name, DType string
	Shape       []int
	Offset      int64 // of the first byte, from the start of the file
	Bytes       int64
}

// parseHeader reads a header and checks it against the size in bytes of the buffer behind it. The result is in the
// order of the data. Offsets count from the start of the buffer.
func parseHeader(raw []byte, buffer int64) ([]Info, map[string]string, error) {
	if len(raw) == 0 || raw[0] != '{' {
		return nil, nil, errors.New("header does not start with '{'")
	}
	if !utf8.Valid(raw) {
		return nil, nil, errors.New("header is not UTF-8")
	}
	if !json.Valid(raw) {
		return nil, nil, errors.New("header is not one JSON object")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var infos []Info
	var metadata map[string]string
	err := object(dec, func(name string) (err error) {
		if name == "__metadata__" {
			metadata, err = parseMetadata(dec)
			return err
		}
		if len(infos) == maxTensors {
			return fmt.Errorf("more than %d tensors", maxTensors)
		}
		info, err := parseTensor(dec, name)
		infos = append(infos, info)
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	return infos, metadata, checkLayout(infos, buffer)
}

// object reads a JSON object and calls field with each key in turn, which has to read the value. A key that comes
// twice is an error: readers differ in which of the two counts.
func object(dec *json.Decoder, field func(key string) error) error {
	if err := delim(dec, '{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		key, ok := token.(string)
		if !ok {
			return fmt.Errorf("found %v where a key is due", token)
		}
		if seen[key] {
			return fmt.Errorf("key %q comes twice", key)
		}
		seen[key] = true
		if err := field(key); err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
	}
	return delim(dec, '}')
}

func delim(dec *json.Decoder, want json.Delim) error {
	token, err := dec.Token()
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	if token != want {
		return fmt.Errorf("found %v where %q is due", token, want.String())
	}
	return nil
}

func parseMetadata(dec *json.Decoder) (map[string]string, error) {
	metadata := map[string]string{}
	err := object(dec, func(key string) (err error) {
		metadata[key], err = text(dec)
		return err
	})
	return metadata, err
}

// text reads a string.
func text(dec *json.Decoder) (string, error) {
	token, err := dec.Token()
	if err != nil {
		return "", err
	}
	s, ok := token.(string)
	if !ok {
		return "", fmt.Errorf("found %v where a string is due", token)
	}
	return s, nil
}

// parseTensor reads the description of one tensor. Its Bytes agree with shape and type when it returns.
func parseTensor(dec *json.Decoder, name string) (Info, error) {
	info := Info{Name: name, Bytes: -1}
	var offsets []int
	var haveShape bool
	err := object(dec, func(key string) (err error) {
		switch key {
		case "dtype":
			info.DType, err = text(dec)
		case "shape":
			haveShape = true
			info.Shape, err = sizes(dec)
		case "data_offsets":
			offsets, err = sizes(dec)
		default: // the reference reader passes over what it does not know
			var ignored json.RawMessage
			err = dec.Decode(&ignored)
		}
		return err
	})
	if err != nil {
		return info, err
	}
	if !haveShape || len(offsets) != 2 {
		return info, errors.New("needs a shape and two data_offsets")
	}
	info.Offset, info.Bytes = int64(offsets[0]), int64(offsets[1])-int64(offsets[0])
	return info, checkSize(info)
}

// sizes reads a list of whole numbers that are not negative.
func sizes(dec *json.Decoder) ([]int, error) {
	if err := delim(dec, '['); err != nil {
		return nil, err
	}
	list := []int{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}
		number, _ := token.(json.Number)
		n, err := strconv.ParseUint(number.String(), 10, 64)
		if err != nil || n > math.MaxInt {
			return nil, fmt.Errorf("found %v where a size is due", token)
		}
		if list = append(list, int(n)); len(list) > maxRank {
			return nil, fmt.Errorf("more than %d dimensions", maxRank)
		}
	}
	return list, delim(dec, ']')
}

// checkSize compares the bytes that the offsets leave with what shape and type need.
func checkSize(info Info) error {
	width, known := bitsOf[info.DType]
	if !known {
		return fmt.Errorf("unknown dtype %q", info.DType)
	}
	if info.Bytes < 0 {
		return fmt.Errorf("data_offsets run backwards, from %d to %d", info.Offset, info.Offset+info.Bytes)
	}
	n, err := Elements(info.Shape)
	if err != nil {
		return err
	}
	if uint64(n) > math.MaxInt64/width || uint64(n)*width%8 != 0 || uint64(n)*width/8 != uint64(info.Bytes) {
		return fmt.Errorf("shape %v of %s does not fit its %d bytes", info.Shape, info.DType, info.Bytes)
	}
	return nil
}

// checkLayout sorts tensors by their place and checks that they fill the buffer without hole or overlap.
func checkLayout(infos []Info, buffer int64) error {
	slices.SortFunc(infos, func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Bytes, b.Bytes), cmp.Compare(a.Name, b.Name))
	})
	end := int64(0)
	for _, info := range infos {
		if info.Offset != end {
			return fmt.Errorf("header: tensor %q: starts at byte %d of the data, want %d", info.Name, info.Offset, end)
		}
		end += info.Bytes
		if end > buffer {
			return fmt.Errorf("header: tensor %q: ends at byte %d of the data, the file has %d", info.Name, end, buffer)
		}
	}
	if end != buffer {
		return fmt.Errorf("header: tensors end at byte %d of the data, the file has %d", end, buffer)
	}
	return nil
}
