package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"metalora/pipeline"
	"metalora/pipeline/fault"
)

func (p *program) modelLoRA() *cobra.Command {
	o := pipeline.GraftOptions{Rank: 8, Alpha: 16}
	cmd := &cobra.Command{
		Use:   "lora FILE.onnx --targets GLOB... -o FILE.onnx",
		Short: "Put LoRA on the linear layers of any ONNX model",
		Long: `Lora writes an ONNX model once more, whatever it computes, with LoRA behind each linear layer whose name a glob matches: MatMul
with a constant, MatMul and Add, or Gemm, transposed or not. The matrices X.lora_A.weight and X.lora_B.weight are inputs that
have values; B is zero, so the new model computes what the old one did. The program "metalora grad" adds their gradients, and whoever
runs the file feeds the matrices that it has trained.

A layer's name is its weight's without ".weight", or its bias's without ".bias", or where the exporter noted its place. A glob
matches whole names: * stands for any characters, ? for one. One that matches nothing lists the layers that there are.`,
		Example: `  metalora model lora vision.onnx --targets '*.attention.*' --rank 4 -o vision.lora.onnx
  metalora grad vision.lora.onnx --wrt '*.lora_?.weight' --of loss -o vision.grad.onnx`,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || len(o.Targets) == 0 || o.To == "" {
				return fault.Usage(errors.New("lora needs FILE.onnx, --targets GLOB and -o FILE.onnx (see metalora model lora --help)"))
			}
			o.From, o.Targets = args[0], append(o.Targets, args[1:]...)
			sites, err := pipeline.Graft(o)
			if err != nil {
				return err
			}
			p.printf("%s: LoRA of rank %d on %d linear layers\n", o.To, o.Rank, len(sites))
			for _, s := range sites {
				p.printf("  %s [%d, %d]\n", s.Linear, s.Out, s.In)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.Targets, "targets", nil, "where LoRA goes: `globs` of linear layers; may be given again")
	f.IntVar(&o.Rank, "rank", o.Rank, "of the adapters")
	f.Float64Var(&o.Alpha, "alpha", o.Alpha, "the scale is alpha / rank")
	f.IntVar(&o.Seed, "seed", 0, "of the draw of A")
	f.StringVarP(&o.To, "output", "o", "", "the `file` to write")
	return cmd
}
