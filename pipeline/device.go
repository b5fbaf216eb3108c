package pipeline

import (
	"errors"
	"fmt"

	"metalora/onnx/ort"
	"metalora/pipeline/config"
	"metalora/pipeline/fault"
)

// ready tries a device before work is put on it. What would have to be installed first makes a configuration impossible;
// a GPU that does not answer may do so another time.
func ready(d ort.Device) error {
	if known := []string{string(ort.CPU), string(ort.CUDA)}; d != "" && d != ort.CPU && d != ort.CUDA {
		return fault.Usage(fmt.Errorf("device: %q is not possible%s", d, config.Suggest(string(d), known)))
	}
	if err := ort.Start(""); err != nil {
		return fault.Input(err)
	}
	err := ort.Ready(d)
	if l, ok := errors.AsType[*ort.Lack](err); ok && !l.Passing {
		return fault.Usage(err)
	}
	return err
}
