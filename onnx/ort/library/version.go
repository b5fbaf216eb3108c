package library

import (
	"debug/elf"
	"debug/macho"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Version reads an ONNX Runtime's version out of the file, without loading it.
//
// A Linux build defines the symbol version VERS_x.y.z; a macOS build states x.y.z as the current version of the
// dynamic library. An error wraps [ErrUnknown] where a shared library says neither.
func Version(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var magic [4]byte
	if _, err := io.ReadFull(f, magic[:]); err != nil {
		return "", fmt.Errorf("not a shared library: %w", err)
	}
	switch {
	case string(magic[:]) == elf.ELFMAG:
		return elfVersion(f)
	case binary.LittleEndian.Uint32(magic[:]) == macho.Magic64:
		return machVersion(f)
	case string(magic[:2]) == "MZ":
		return "", ErrUnknown
	}
	return "", fmt.Errorf("not a shared library: it starts with % x", magic)
}

func elfVersion(f io.ReaderAt) (string, error) {
	file, err := elf.NewFile(f)
	if err != nil {
		return "", fmt.Errorf("not a shared library: %w", err)
	}
	versions, err := file.DynamicVersions()
	if err != nil {
		return "", ErrUnknown
	}
	for _, v := range versions {
		if version, ok := strings.CutPrefix(v.Name, "VERS_"); ok {
			return version, nil
		}
	}
	return "", ErrUnknown
}

// identity is LC_ID_DYLIB, the load command in which a macOS library states its own name and version.
const identity = 0xd

// machVersion reads LC_ID_DYLIB: command, size, name offset, time stamp, current version (four bytes each), the
// version packed as 16.8.8 bits.
func machVersion(f io.ReaderAt) (string, error) {
	file, err := macho.NewFile(f)
	if err != nil {
		return "", fmt.Errorf("not a shared library: %w", err)
	}
	for _, load := range file.Loads {
		raw := load.Raw()
		if len(raw) >= 20 && file.ByteOrder.Uint32(raw) == identity {
			v := file.ByteOrder.Uint32(raw[16:])
			return fmt.Sprintf("%d.%d.%d", v>>16, v>>8&0xff, v&0xff), nil
		}
	}
	return "", ErrUnknown
}

// older compares versions number by number; what is not a number counts as 0.
func older(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range bs {
		x, y := part(as, i), part(bs, i)
		if x != y {
			return x < y
		}
	}
	return false
}

func part(parts []string, i int) int {
	if i >= len(parts) {
		return 0
	}
	n, err := strconv.Atoi(parts[i])
	if err != nil {
		return 0
	}
	return n
}
