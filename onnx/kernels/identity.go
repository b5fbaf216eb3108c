package kernels

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"sync"
)

// sources are the C files of our own. The headers of ONNX Runtime say nothing about what is computed.
//
//go:embed *.c [a-np-z]*.h op*.h
var sources embed.FS

// Identity names what the operators' bits depend on besides the processor: the C compiler of this build and the sources, by
// a sum. Another compiler may put a product and a sum into one rounding where this one does not. It is None where the
// operators are not [Supported].
var Identity = sync.OnceValue(func() string {
	if !Supported() {
		return None
	}
	sum := sha256.New()
	names, _ := fs.Glob(sources, "*") // the pattern is in order
	for _, name := range names {
		data, _ := sources.ReadFile(name) // it lies in the program
		sum.Write(data)
	}
	return compiler() + ", sources " + hex.EncodeToString(sum.Sum(nil)[:8])
})

// None is the Identity of no operators of ours.
const None = "none"
