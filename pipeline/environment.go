package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/cpu"

	"metalora/onnx/kernels"
	"metalora/onnx/ort"
	"metalora/pipeline/train"
)

// environment is what the bits of a training depend on besides its settings, by name.
type environment map[string]string

const (
	deviceKey  = "device"
	kernelsKey = "kernels"
)

// here is the environment of this process. The engine chooses its kernels by the features of the CPU; the number of threads
// changes no sum's order.
var here = sync.OnceValue(func() environment {
	return environment{
		"system":      runtime.GOOS + "/" + runtime.GOARCH,
		"cpu":         strings.Join(CPUFeatures(), " "),
		"onnxruntime": ort.Version(),
		"library":     librarySum(),
	}
})

// with adds the device that a run computes its gradients on, whose operators it uses, and the graphs.
func (e environment) with(r *train.Run, d ort.Device) environment {
	e = maps.Clone(e)
	e[deviceKey] = string(d)
	e[kernelsKey] = r.Engine.Kernels()
	e["graph"] = r.Engine.Sum()
	if r.Inner != nil && r.Inner.Engine != r.Engine {
		e["inner graph"] = r.Inner.Engine.Sum()
	}
	return e
}

// and adds with how many processes a training is computed: sums over other numbers of them have other last bits.
func (e environment) and(t *Together) environment {
	if t == nil {
		return e
	}
	e = maps.Clone(e)
	e["ranks"] = fmt.Sprintf("%d, %s", t.Ranks, t.Algorithm)
	return e
}

// CPUFeatures are those that the engine's kernels are chosen by.
func CPUFeatures() []string {
	var list []string
	for _, f := range []struct {
		name string
		has  bool
	}{
		{"sse4.1", cpu.X86.HasSSE41}, {"avx", cpu.X86.HasAVX}, {"fma", cpu.X86.HasFMA}, {"avx2", cpu.X86.HasAVX2},
		{"avx512f", cpu.X86.HasAVX512F}, {"avx512bw", cpu.X86.HasAVX512BW}, {"avx512vl", cpu.X86.HasAVX512VL},
		{"avx512vnni", cpu.X86.HasAVX512VNNI}, {"avx512bf16", cpu.X86.HasAVX512BF16}, {"amx", cpu.X86.HasAMXTile},
		{"neon", cpu.ARM64.HasASIMD}, {"dotprod", cpu.ARM64.HasASIMDDP}, {"sve", cpu.ARM64.HasSVE},
	} {
		if f.has {
			list = append(list, f.name)
		}
	}
	return list
}

// librarySum is the start of the library's SHA-256: builds of one version may differ in their kernels. "" where the file
// is not to be found.
func librarySum() string {
	path, err := ort.Library()
	if err != nil {
		return ""
	}
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return ""
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// differences says what is other here than there, "" if nothing is.
func (there environment) differences(here environment) string {
	var list []string
	keys := maps.Clone(there)
	maps.Copy(keys, here)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if was, is := there.value(key), here.value(key); was != is {
			list = append(list, fmt.Sprintf("%.100s was %.200q and is %.200q", key, was, is))
		}
	}
	return strings.Join(list, ", ")
}

// defaults are what holds where an environment does not name it: earlier versions knew nothing else.
var defaults = environment{deviceKey: string(ort.CPU), kernelsKey: kernels.None}

// value is what an environment says of a key.
func (e environment) value(key string) string {
	if v, ok := e[key]; ok {
		return v
	}
	return defaults[key]
}

// switched is the setting of the kernels by which a training goes on here as it began there, "" where none brings that about.
func (there environment) switched(here environment) string {
	switch was := there.value(kernelsKey); {
	case was == here.value(kernelsKey):
		return ""
	case was == kernels.None:
		return "kernels=false"
	case was == kernels.Identity():
		return "kernels=true"
	}
	return ""
}
