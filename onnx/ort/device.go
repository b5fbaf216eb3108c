package ort

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"metalora/onnx"
	"metalora/onnx/ort/library"

	engine "github.com/yalue/onnxruntime_go"
)

// Device is what a session computes on; the zero value is the CPU.
type Device string

const (
	CPU  Device = "cpu"
	CUDA Device = "cuda" // the first NVIDIA GPU that CUDA sees; CUDA_VISIBLE_DEVICES chooses which that is
)

// Lack is the error that a device cannot be had here.
type Lack struct {
	What string // is missing, and where it was looked for
	Fix  string // the next step

	// Passing: nothing has to be installed, the device itself does not answer. It may at another time.
	Passing bool
}

func (l *Lack) Error() string { return l.What + " (" + l.Fix + ")" }

// Ready loads the library and has the device compute something. What is missing is told by a [Lack].
func Ready(d Device) error {
	if err := Start(""); err != nil || d != CUDA {
		return err
	}
	g := onnx.NewBuilder(&onnx.Graph{Name: "ready"})
	x := g.Input("x", onnx.Float, 1)
	g.Named("y", "Add", []string{x, x})
	g.Output("y", onnx.Float, 1)
	s, err := OpenModel(onnx.NewModel(g.Graph), Options{Device: d})
	if l, ok := errors.AsType[*Lack](err); ok {
		return l // without the model that is only there to try
	}
	if err != nil {
		return err
	}
	defer s.Close()
	one, err := NewTensor([]int{1}, []float32{1})
	if err != nil {
		return err
	}
	defer one.Close()
	fetches := map[string]*Tensor{"y": nil}
	if err := s.Run(map[string]*Tensor{"x": one}, fetches); err != nil {
		return lack(err)
	}
	return fetches["y"].Close()
}

// cudaSettings are in the words of ONNX Runtime's CUDA provider. Without use_tf32=0 a product of float32 keeps 10 bits of
// each factor, and gradients would agree with the CPU's to three digits.
var cudaSettings = map[string]string{"device_id": "0", "use_tf32": "0"}

// appendCUDA puts CUDA before the CPU: nodes that it has no kernel for stay on the CPU. CUDA's own handlers of signals are
// not let in the place of Go's, which would no longer hear that it should stop.
func appendCUDA(so *engine.SessionOptions) error {
	defer keepSignals()()
	options, err := engine.NewCUDAProviderOptions()
	if err != nil {
		return lack(err)
	}
	defer options.Destroy()
	if err := providersBeside(filepath.Dir(loaded())); err != nil {
		return err
	}
	if err := options.Update(cudaSettings); err != nil { // the first call that loads the provider, and the one that says why it cannot be
		return lack(err)
	}
	if err := so.AppendExecutionProviderCUDA(options); err != nil {
		return lack(err)
	}
	return nil
}

// providerFiles are the libraries that ONNX Runtime looks for beside itself: the bridge and the provider.
func providerFiles(goos string) []string {
	if goos == "windows" {
		return []string{"onnxruntime_providers_shared.dll", "onnxruntime_providers_cuda.dll"}
	}
	return []string{"libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"}
}

func providersBeside(dir string) error {
	var absent []string
	for _, name := range providerFiles(runtime.GOOS) {
		if _, err := os.Stat(filepath.Join(dir, name)); errors.Is(err, os.ErrNotExist) {
			absent = append(absent, name)
		}
	}
	if len(absent) == 0 {
		return nil
	}
	return &Lack{What: fmt.Sprintf("device cuda: %s not found beside ONNX Runtime in %s", strings.Join(absent, " and "), dir), Fix: getBuild()}
}

// getBuild is the way to a library with CUDA.
func getBuild() string {
	return fmt.Sprintf("get the GPU build of ONNX Runtime %s, as docs/gpu.md shows, and set %s to its folder", Version(), library.Variable)
}

var (
	notLoaded = regexp.MustCompile(`Failed to load library \S+ with error: ([^\s:]+\.so[.\d]*): cannot open shared object file`)
	cudaSaid  = regexp.MustCompile(`(?i)CUDA failure (\d+): ([^;]*[^;\s])`)
)

// lack puts what ONNX Runtime says of CUDA into words with a next step. The patterns are those of version 1.30; what none
// of them knows is passed on as it is.
func lack(err error) error {
	said := err.Error()
	switch {
	case strings.Contains(said, "not enabled in this build"):
		return &Lack{What: fmt.Sprintf("device cuda: the ONNX Runtime at %s is a build for CPUs", loaded()), Fix: getBuild()}
	case notLoaded.MatchString(said):
		return missingLibrary(notLoaded.FindStringSubmatch(said)[1])
	case cudaSaid.MatchString(said):
		m := cudaSaid.FindStringSubmatch(said)
		return &Lack{What: fmt.Sprintf("device cuda: CUDA says: %s (failure %s)", m[2], m[1]), Passing: true,
			Fix: "see whether nvidia-smi lists a GPU, whether its driver is as new as the CUDA libraries, and what CUDA_VISIBLE_DEVICES says"}
	}
	return fmt.Errorf("device cuda: %w", err)
}

// missingLibrary says whose a library is that the loader did not find.
func missingLibrary(name string) error {
	l := &Lack{What: "device cuda: " + name + " was not found"}
	base, version, _ := strings.Cut(name, ".so.")
	switch base {
	case "libcuda":
		l.What, l.Fix = l.What+": there is no NVIDIA driver", "install the driver, or run on a machine with a GPU: nvidia-smi should list one"
	case "libcudnn":
		l.Fix = fmt.Sprintf("install cuDNN %s, or put its folder into LD_LIBRARY_PATH", version)
	default:
		l.Fix = "install CUDA's libraries of that version, or put their folder into LD_LIBRARY_PATH"
	}
	return l
}
