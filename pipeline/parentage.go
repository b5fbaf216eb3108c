package pipeline

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"

	"metalora/models"
	"metalora/models/safetensors"
	"metalora/pipeline/hub"
)

// parentage tells whether adapters were trained on a model. Every shape may fit where the weights are others: what such an
// adapter gives only looks like an answer.
type parentage struct {
	base  *models.Folder
	found map[string]error // what came of a base that adapters name: hundreds name one
	notes []string         // for a person: bases that are not here to be compared
}

func newParentage(base *models.Folder) *parentage {
	return &parentage{base: base, found: map[string]error{}}
}

// check compares the base that an adapter's file names with the model. A folder or an .onnx file is looked for beside the adapter
// and here, a name in the hub's cache. Another base is an error; one that is nowhere to be found becomes a note.
func (p *parentage) check(dir, named string) error {
	if named == "" {
		return nil
	}
	path := whereBase(dir, named)
	if path == "" {
		p.note(fmt.Sprintf("%s was trained on %s, which is not here to be compared with %s: if that is a name on the hub, `metalora model pull %s` fetches it",
			dir, named, p.base.Dir, named))
		return nil
	}
	err, known := p.found[path]
	if !known {
		err = p.compare(path)
		p.found[path] = err
	}
	if err != nil {
		return fmt.Errorf("loading adapter %s: %w", dir, err)
	}
	return nil
}

func (p *parentage) note(text string) {
	if !slices.Contains(p.notes, text) {
		p.notes = append(p.notes, text)
	}
}

// whereBase is the path of what an adapter names its base; "" where nothing of that name is here.
func whereBase(dir, named string) string {
	for _, path := range []string{filepath.Join(dir, named), named} {
		if info, err := os.Stat(path); err == nil && (info.IsDir() || models.IsONNX(path)) {
			return path
		}
	}
	if path, err := hub.Locate(named); err == nil && path != named {
		return path
	}
	return ""
}

// compare is an error where a model has other weights than the base. Files that are the same say it at once; one may also be
// an export of the other, or parted into other files, so else the tensors decide.
func (p *parentage) compare(path string) error {
	if same, err := sameModel(path, p.base.Dir); same || err != nil {
		return err
	}
	other, err := models.Load(path)
	if err != nil {
		p.note(fmt.Sprintf("the base %s, which adapters name, cannot be read to be compared: %v", path, err))
		return nil
	}
	theirs, _ := models.Split(other.Architecture, other.Tensors)
	ours, _ := models.Split(p.base.Architecture, p.base.Tensors)
	if tensor := firstDifference(theirs, ours); tensor != "" {
		return fmt.Errorf("it was trained on %s, whose weights are not those of %s (%s differs); name that model, or tune a new adapter on this one", path, p.base.Dir, tensor)
	}
	return nil
}

// sameModel tells whether two paths are one model, or models of the same files.
func sameModel(a, b string) (bool, error) {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	if err := errors.Join(errA, errB); err != nil || os.SameFile(infoA, infoB) {
		return true, err
	}
	sumA, errA := modelSum(a)
	sumB, errB := modelSum(b)
	return errA == nil && errB == nil && sumA == sumB, nil
}

// firstDifference is the first name under which two models have other weights; "": none. Names that one of them lacks, as a pooler
// that an export leaves out, do not count as long as others agree.
func firstDifference(a, b safetensors.Tensors) string {
	agree := 0
	for _, name := range slices.Sorted(maps.Keys(a)) {
		x, y := a[name], b[name]
		if y.Data == nil {
			continue
		}
		if !slices.Equal(x.Shape, y.Shape) || !sameValues(x.Data, y.Data) {
			return name
		}
		agree++
	}
	if agree == 0 {
		return "every name"
	}
	return ""
}

// sameValues compares to the bit; where one side was kept in 16 bits, to what these leave of the other.
func sameValues(a, b []float32) bool {
	if slices.Equal(a, b) {
		return true
	}
	if !inHalf(a) && !inHalf(b) {
		return false
	}
	const bfloat16 = 1.0 / 256 // a float16 is nearer, but below 2^-14, where its steps are 2^-24
	for i, x := range a {
		x, y := float64(x), float64(b[i])
		if !(math.Abs(x-y) <= bfloat16*max(math.Abs(x), math.Abs(y))+1e-7) {
			return false
		}
	}
	return true
}

// inHalf tells whether values have no more bits than a float16 or bfloat16 holds.
func inHalf(values []float32) bool {
	return !slices.ContainsFunc(values, func(x float32) bool { return math.Float32bits(x)&(1<<13-1) != 0 })
}
