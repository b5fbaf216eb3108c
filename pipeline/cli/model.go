package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"metalora/adapters"
	"metalora/models"
	"metalora/models/exported"
	"metalora/models/safetensors"
	"metalora/pipeline/confined"
	"metalora/pipeline/fault"
	"metalora/pipeline/hub"
)

func (p *program) model() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "model",
		Short: "Fetch models, look at them and at adapters, and write them in other forms",
		Example: `  metalora model inspect models/roberta-base
  metalora model pull roberta-base
  metalora model export roberta-base -o roberta.onnx`,
	}
	cmd.AddCommand(p.modelPull(), p.modelInspect(), p.modelExport(), p.modelMerge(), p.modelLoRA())
	return chooser(cmd, needsVerb)
}

// inspection is what there is to say of a model's or adapter's files.
type inspection struct {
	Kind         string          `json:"kind"` // folder, safetensors, onnx, adapter
	Architecture string          `json:"architecture"`
	Parameters   int64           `json:"parameters"`
	Tensors      []inTensor      `json:"tensors"`
	Trainable    bool            `json:"trainable"`
	Blockers     []blocker       `json:"blockers"`
	Notes        []string        `json:"notes"`
	Names        []exported.Name `json:"names,omitempty"` // of an .onnx file: what each tensor is called there
}

type inTensor struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Shape []int  `json:"shape"`
}

// blocker is an operator that keeps a graph from being trained.
type blocker struct {
	Node string `json:"node"`
	Op   string `json:"op"`
	Why  string `json:"why"`
}

func (p *program) modelInspect() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect PATH",
		Short: "Show what a model folder, an .onnx or .safetensors file or an adapter folder holds",
		Long: `Inspect reads a Hugging Face model folder, an .onnx file, a single .safetensors file or a PEFT adapter folder, checks it as
a run would, and lists its tensors. Of an .onnx file it says under which names the weights were recovered and where each name
comes from, and every node that keeps the model from being trained.`,
		Example: `  metalora model inspect models/roberta-base
  metalora model inspect runs/demo/units/adapt-…/adapter --json`,
		Args: takes(0, "PATH"),
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := hub.Locate(args[0])
			if err != nil {
				return err
			}
			found, err := inspect(path)
			if err != nil {
				return fault.Input(err)
			}
			if asJSON {
				return p.json(found)
			}
			return p.inspectionTable(found)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one JSON document")
	return cmd
}

func inspect(path string) (*inspection, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("looking at a model: %w", err)
	}
	if !info.IsDir() {
		return inspectFile(path)
	}
	if confined.HasIn(path, "adapter_config.json") {
		return inspectAdapter(path)
	}
	return inspectFolder(path)
}

func inspectFile(path string) (*inspection, error) {
	if models.IsONNX(path) {
		return inspectONNX(path)
	}
	if filepath.Ext(path) != ".safetensors" {
		return nil, fmt.Errorf("looking at %s: neither a folder nor an .onnx or .safetensors file", path)
	}
	found := &inspection{Kind: "safetensors", Blockers: []blocker{}, Notes: []string{"tensors alone: no graph, so nothing to train"}}
	return found, found.addFile(path)
}

func inspectAdapter(dir string) (*inspection, error) {
	a, err := adapters.Load(dir)
	if err != nil {
		return nil, err
	}
	found := &inspection{Kind: "adapter", Architecture: "LoRA", Trainable: true, Blockers: []blocker{},
		Notes: []string{fmt.Sprintf("rank %d, alpha %g", a.LoRA.Rank, a.LoRA.Alpha), "base: " + a.Base}}
	return found, found.addFiles(dir, func(name string) bool { return name == "adapter_model.safetensors" })
}

func inspectFolder(dir string) (*inspection, error) {
	f, err := models.Load(dir)
	if err != nil {
		return nil, err
	}
	found := &inspection{Kind: "folder", Trainable: true, Blockers: []blocker{}, Notes: []string{}}
	if config, ok := f.Architecture.(models.Config); ok {
		found.Architecture = config.Class(f.HasHead)
	} else {
		found.Architecture = "the graph of an export (graph.onnx)"
	}
	if !f.HasHead {
		found.Notes = append(found.Notes, "no classification head: training draws a fresh one")
	}
	if len(f.Unused) > 0 {
		found.Notes = append(found.Notes, "not used: "+strings.Join(f.Unused, ", "))
	}
	if confined.HasIn(dir, "model.safetensors") {
		return found, found.addFiles(dir, func(name string) bool { return name == "model.safetensors" })
	}
	return found, found.addFiles(dir, func(name string) bool {
		return strings.HasPrefix(name, "model-") && strings.HasSuffix(name, ".safetensors")
	})
}

// addFiles adds the tensors of those files of a folder that are meant.
func (i *inspection) addFiles(dir string, meant func(name string) bool) error {
	folder, err := confined.OpenFolder(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	names, err := folder.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if !meant(name) {
			continue
		}
		f, err := safetensors.OpenIn(folder, name)
		if err == nil {
			err = i.add(f, filepath.Join(dir, name))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// addFile adds the tensors of a file, by their header alone.
func (i *inspection) addFile(path string) error {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	return i.add(f, path)
}

// add adds the tensors of an open file, which it closes.
func (i *inspection) add(f *safetensors.File, path string) error {
	defer f.Close()
	for _, t := range f.Infos() {
		n, err := safetensors.Elements(t.Shape)
		if err != nil {
			return fmt.Errorf("%s: tensor %s: %w", path, t.Name, err)
		}
		i.Parameters += int64(n)
		i.Tensors = append(i.Tensors, inTensor{t.Name, t.DType, append([]int{}, t.Shape...)})
	}
	slices.SortFunc(i.Tensors, func(a, b inTensor) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

func (p *program) inspectionTable(i *inspection) error {
	p.printf("%s %s, %d parameters\n", i.Kind, i.Architecture, i.Parameters)
	for _, note := range i.Notes {
		p.printf("%s\n", note)
	}
	for _, b := range i.Blockers {
		p.printf("in the way: node %q (%s): %s\n", b.Node, b.Op, b.Why)
	}
	return p.table(i.rows()...)
}

// rows lists the tensors; those of an .onnx file with their names there.
func (i *inspection) rows() [][]string {
	files := map[string]exported.Name{}
	for _, n := range i.Names {
		files[n.Name] = n
	}
	rows := [][]string{{"TENSOR", "TYPE", "SHAPE"}}
	if len(files) > 0 {
		rows[0] = append(rows[0], "IN THE FILE", "NAME FROM")
	}
	for _, t := range i.Tensors {
		row := []string{t.Name, t.DType, fmt.Sprint(t.Shape)}
		if n, ok := files[t.Name]; ok {
			file := n.File
			if n.Transposed {
				file += " (transposed)"
			}
			row = append(row, file, string(n.Source))
		}
		rows = append(rows, row)
	}
	return rows
}
