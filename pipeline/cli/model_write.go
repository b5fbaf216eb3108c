package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"metalora/onnx"
	"metalora/pipeline"
	"metalora/pipeline/fault"
)

func (p *program) modelExport() *cobra.Command {
	var o pipeline.ExportOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "export DIR -o FILE.onnx [--adapter DIR] [--merge] [--opset N]",
		Short: "Write a model as an .onnx file that any ONNX Runtime runs",
		Long: `Export writes a model folder, or an .onnx file read before, as one .onnx file that takes input_ids and attention_mask
(and token_type_ids) and gives logits. With --adapter and --merge the adapter goes into the weights. With --adapter alone its
matrices and its head are inputs that have defaults, the base without an adapter, and FILE.onnx_adapter beside the file has
their values: ONNX Runtime's LoRA interface takes it, and any other adapter on the same layers, whatever its rank. ONNX Runtime's
JavaScript has no such interface and feeds no input that has a default: --no-defaults writes a file for it, whose every run needs
the adapter's values.

The files are run before they get their names, and must give the logits of metalora's own run.`,
		Example: `  metalora model export models/roberta-base -o roberta.onnx --opset 17
  metalora model export DIR -o adapted.onnx --adapter my_adapter --merge`,
		Args: takes(0, "DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Model = args[0]; o.Out == "" {
				return fault.Usage(errors.New("export needs -o FILE.onnx (see metalora model export --help)"))
			}
			e, err := pipeline.ExportONNX(cmd.Context(), o)
			if err != nil {
				return err
			}
			p.notes(e.Notes)
			if asJSON {
				return p.json(e)
			}
			p.printf("%s: opset %d, %d weights\n", e.File, e.Opset, e.Parameters)
			if e.Adapter != "" {
				p.printf("%s: the adapter, for ONNX Runtime's LoRA interface\n", e.Adapter)
			}
			p.printf("largest difference of a logit from our own run: %.2g, over %d rows\n", e.Difference, e.Rows)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.Out, "output", "o", "", "the `file` to write")
	f.StringVar(&o.Adapter, "adapter", "", "PEFT adapter `folder`")
	f.BoolVar(&o.Merge, "merge", false, "fold the adapter into the weights")
	f.BoolVar(&o.Bare, "no-defaults", false, "the adapter's inputs have no defaults, as JavaScript needs")
	f.Int64Var(&o.Opset, "opset", onnx.DefaultOpset, "operator set, 14 to 25")
	f.BoolVar(&asJSON, "json", false, "write one JSON document")
	return cmd
}

func (p *program) modelMerge() *cobra.Command {
	var adapter, out string
	cmd := &cobra.Command{
		Use:   "merge DIR --adapter DIR -o DIR",
		Short: "Fold an adapter into a base's weights, as a new model folder",
		Long: `Merge adds scale·B·A to each adapted weight of a base, takes the adapter's head, and writes the result as a model folder
with the base's tokenizer. The logits are compared with those of the adapter in its place first. An adapter that was trained on
other weights is refused.`,
		Example: `  metalora model merge models/roberta-base --adapter my_adapter -o merged`,
		Args:    takes(0, "DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if adapter == "" || out == "" {
				return fault.Usage(errors.New("merge needs --adapter DIR and -o DIR (see metalora model merge --help)"))
			}
			merged, err := pipeline.MergeAdapter(cmd.Context(), args[0], adapter, out)
			if err != nil {
				return err
			}
			p.notes(merged.Notes)
			p.printf("%s: merged; largest difference of a logit from the adapter in place: %.2g\n", out, merged.Difference)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&adapter, "adapter", "", "PEFT adapter `folder`")
	f.StringVarP(&out, "output", "o", "", "`folder` to write")
	return cmd
}
