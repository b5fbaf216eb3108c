package ort

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestLack: what ONNX Runtime 1.30.0 said on machines without a GPU, each time with one piece more in place, and what we
// make of it. The last two are of the CUDA runtime's list of errors and of our own making.
func TestLack(t *testing.T) {
	const load = "/onnxruntime_src/onnxruntime/core/session/provider_bridge_ort.cc:1988 onnxruntime::Provider& onnxruntime::ProviderLibrary::Get() " +
		"[ONNXRuntimeError] : 1 : FAIL : Failed to load library /gpu/libonnxruntime_providers_cuda.so with error: %s: cannot open shared object file: No such file or directory"
	const cuda = "/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider_info.cc:62 static onnxruntime::CUDAExecutionProviderInfo " +
		"onnxruntime::CUDAExecutionProviderInfo::FromProviderOptions(const onnxruntime::ProviderOptions&) [ONNXRuntimeError] : 1 : FAIL : " +
		"provider_options_utils.h:187 Parse Failed to parse provider option \"device_id\": CUDA failure %s ; GPU=-1 ; hostname=vm ; file=x.cc ; line=69 ; expr=cudaGetDeviceCount(&num_devices);"
	for _, c := range []struct {
		name, said, what, fix string
		passing               bool
	}{
		{"a build for CPUs", "CUDA execution provider is not enabled in this build.", "is a build for CPUs", "METALORA_ORT", false},
		{"no CUDA", fmt.Sprintf(load, "libcublasLt.so.13"), "libcublasLt.so.13 was not found", "install CUDA's libraries", false},
		{"no cuDNN", fmt.Sprintf(load, "libcudnn.so.9"), "libcudnn.so.9 was not found", "install cuDNN 9", false},
		{"no driver", fmt.Sprintf(load, "libcuda.so.1"), "libcuda.so.1 was not found: there is no NVIDIA driver", "nvidia-smi", false},
		{"an old driver", fmt.Sprintf(cuda, "35: CUDA driver version is insufficient for CUDA runtime version"),
			"CUDA says: CUDA driver version is insufficient for CUDA runtime version (failure 35)", "as new as", true},
		{"no device", fmt.Sprintf(cuda, "100: no CUDA-capable device is detected"), "no CUDA-capable device is detected (failure 100)", "CUDA_VISIBLE_DEVICES", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, ok := errors.AsType[*Lack](lack(errors.New(c.said)))
			if !ok {
				t.Fatalf("not understood: %v", lack(errors.New(c.said)))
			}
			if !strings.HasSuffix(l.What, c.what) || !strings.Contains(l.Fix, c.fix) || l.Passing != c.passing {
				t.Errorf("got %+v, want %q, %q, %v", l, c.what, c.fix, c.passing)
			}
		})
	}
	odd := errors.New("the moon is full")
	if err := lack(odd); !errors.Is(err, odd) || !strings.HasPrefix(err.Error(), "device cuda: ") {
		t.Errorf("what is not understood became %v", err)
	}
}
