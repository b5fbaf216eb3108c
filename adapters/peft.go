package adapters

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"metalora/models/safetensors"
	"metalora/pipeline/confined"
	"metalora/pipeline/disk"
)

const (
	configFile  = "adapter_config.json"
	weightsFile = "adapter_model.safetensors"
	peftPrefix  = "base_model.model." // before each of the model's own names in a PEFT file
)

// Adapter is a trained adapter: what it sits on, and its weights with those of the head that was trained along.
type Adapter struct {
	LoRA    LoRA
	Base    string              // name or folder of the model it was trained on
	Tensors safetensors.Tensors // X.lora_A.weight, X.lora_B.weight and the head's, under the model's names
	Modules []string            // that are saved whole as a head's are, though their names are none of a head's
}

// Load reads an adapter folder as PEFT saves it. Variants of LoRA that compute something else are refused by the name
// of the field that asks for them, never passed over. Each fits is asked before a weight is read: it sees an adapter whose
// tensors have shapes and no data.
func Load(dir string, fits ...func(*Adapter) error) (*Adapter, error) {
	a, err := load(dir, fits)
	if err != nil {
		return nil, fmt.Errorf("loading adapter %s: %w", dir, err)
	}
	return a, nil
}

func load(dir string, fits []func(*Adapter) error) (*Adapter, error) {
	folder, err := confined.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	a, err := readConfig(folder)
	if err != nil {
		return nil, err
	}
	file, err := safetensors.OpenIn(folder, weightsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing; weights in other formats (adapter_model.bin) are not read", weightsFile)
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := a.describe(file); err != nil {
		return nil, err
	}
	for _, fit := range fits {
		if err := fit(a); err != nil {
			return nil, err
		}
	}
	for _, name := range a.Tensors.Names() {
		if a.Tensors[name], err = file.Tensor(peftPrefix + name); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// describe takes names and shapes out of the header of a file, and checks that they make an adapter.
func (a *Adapter) describe(file *safetensors.File) error {
	a.Tensors = safetensors.Tensors{}
	for _, info := range file.Infos() {
		own, ok := strings.CutPrefix(info.Name, peftPrefix)
		switch {
		case !info.Floating():
			return fmt.Errorf("%s: tensor %q: dtype %s is not that of a weight", weightsFile, info.Name, info.DType)
		case !ok:
			return fmt.Errorf("%s: tensor %q: name does not start with %q", weightsFile, info.Name, peftPrefix)
		}
		a.Tensors[own] = safetensors.Tensor{Shape: info.Shape}
	}
	if _, err := a.linears(); err != nil {
		return fmt.Errorf("%s: %w", weightsFile, err)
	}
	return nil
}

// Save writes the adapter as a PEFT folder. A folder saved and loaded again holds the same adapter.
func (a *Adapter) Save(dir string) error {
	if err := a.save(dir); err != nil {
		return fmt.Errorf("saving adapter %s: %w", dir, err)
	}
	return nil
}

func (a *Adapter) save(dir string) error {
	if _, err := a.linears(); err != nil {
		return err
	}
	if err := disk.MkdirAll(dir); err != nil {
		return err
	}
	tensors := safetensors.Tensors{}
	for name, t := range a.Tensors {
		tensors[peftPrefix+name] = t
	}
	if err := safetensors.Save(filepath.Join(dir, weightsFile), tensors, map[string]string{"format": "pt"}); err != nil {
		return err
	}
	return a.writeConfig(filepath.Join(dir, configFile))
}

// Head is the part of the tensors that belongs to the head; empty where the adapter brings none.
func (a *Adapter) Head() safetensors.Tensors {
	head := safetensors.Tensors{}
	for name, t := range a.Tensors {
		if a.inHead(name) {
			head[name] = t
		}
	}
	return head
}

// headModules are what the heads of sequence classifiers are made of: BERT's has the base's pooler, DistilBERT's a layer
// before the classifier.
var headModules = regexp.MustCompile(`(?:^|\.)(classifier|score|pooler|pre_classifier)(?:\.|$)`)

// isHead says whether a name is that of a sequence classifier's head, which PEFT saves whole.
func isHead(name string) bool {
	return headModules.MatchString(name) && !strings.Contains(name, ".lora_")
}

// inHead tells the tensors that are saved whole: a head's by their names, or one of the modules'.
func (a *Adapter) inHead(name string) bool {
	return isHead(name) || !strings.Contains(name, ".lora_") && slices.ContainsFunc(a.Modules, func(m string) bool { return ends(moduleOf(name), m) })
}

// moduleOf is the module that a tensor belongs to.
func moduleOf(name string) string { return name[:max(0, strings.LastIndexByte(name, '.'))] }

// linears lists the linear layers that the tensors adapt, sorted, with sizes out of the shapes. It checks that every
// tensor is one of a pair or of the head, and that a pair has one rank: the one that the configuration gives.
func (a *Adapter) linears() ([]Linear, error) {
	var found []Linear
	for _, name := range a.Tensors.Names() {
		if linear, ok := strings.CutSuffix(name, ".lora_A.weight"); ok {
			x, err := a.pair(linear)
			if err != nil {
				return nil, err
			}
			found = append(found, x)
			continue
		}
		linear, isB := strings.CutSuffix(name, ".lora_B.weight")
		_, haveA := a.Tensors[linear+".lora_A.weight"]
		switch {
		case isB && !haveA:
			return nil, fmt.Errorf("tensor %q: its lora_A is missing", name)
		case isB, a.inHead(name):
		default:
			return nil, fmt.Errorf("tensor %q: neither a LoRA matrix nor part of the head", name)
		}
	}
	if len(found) == 0 {
		return nil, errors.New("no tensor is a LoRA matrix")
	}
	return found, nil
}

// pair checks the matrices of one linear layer: A [rank, in] and B [out, rank].
func (a *Adapter) pair(linear string) (Linear, error) {
	s := Site{Linear: linear}
	A, haveA := a.Tensors[s.A()]
	B, haveB := a.Tensors[s.B()]
	switch {
	case !haveA || !haveB:
		return Linear{}, fmt.Errorf("tensor %q: its lora_B is missing", s.A())
	case len(A.Shape) != 2 || len(B.Shape) != 2:
		return Linear{}, fmt.Errorf("tensor %q: shape %v, and lora_B %v: both need two dimensions", s.A(), A.Shape, B.Shape)
	}
	x := Linear{Name: linear, In: A.Shape[1], Out: B.Shape[0]}
	site, err := a.LoRA.At(x)
	if err != nil {
		return Linear{}, err
	}
	if want := []int{site.Rank, x.In}; !slices.Equal(A.Shape, want) {
		return Linear{}, fmt.Errorf("tensor %q: shape %v, want %v", s.A(), A.Shape, want)
	}
	if want := []int{x.Out, site.Rank}; !slices.Equal(B.Shape, want) {
		return Linear{}, fmt.Errorf("tensor %q: shape %v, want %v", s.B(), B.Shape, want)
	}
	return x, nil
}

// Sites places the adapter on a model's linear layers. Every pair needs a layer of its sizes, and every layer that the
// configuration means needs a pair: half an adapter would answer without complaint.
func (a *Adapter) Sites(linears []Linear) ([]Site, error) {
	adapted, err := a.linears()
	if err != nil {
		return nil, fmt.Errorf("placing an adapter: %w", err)
	}
	match, err := a.LoRA.matcher(linears)
	if err != nil {
		return nil, fmt.Errorf("placing an adapter: %w", err)
	}
	open := map[string]Linear{}
	for _, x := range adapted {
		open[x.Name] = x
	}
	var sites []Site
	for _, x := range linears {
		own, ok := open[x.Name]
		delete(open, x.Name)
		switch {
		case ok && own != x:
			return nil, fmt.Errorf("placing an adapter: %s is [%d %d] in the model, [%d %d] in the adapter", x.Name, x.Out, x.In, own.Out, own.In)
		case !ok && match(x.Name) && a.LoRA.inLayers(x.Name):
			return nil, fmt.Errorf("placing an adapter: it is meant for %s too but has no tensors for it", x.Name)
		case ok:
			site, err := a.LoRA.At(x)
			if err != nil {
				return nil, fmt.Errorf("placing an adapter: %w", err)
			}
			sites = append(sites, site)
		}
	}
	for _, x := range adapted { // in order, so that the message is always the same
		if _, left := open[x.Name]; left {
			return nil, fmt.Errorf("placing an adapter: it has tensors for %s, which the model does not have", x.Name)
		}
	}
	return sites, nil
}
