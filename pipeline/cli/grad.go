package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"metalora/onnx/autodiff"
	"metalora/pipeline"
	"metalora/pipeline/fault"
	"metalora/pipeline/terminal"
)

func (p *program) grad() *cobra.Command {
	var wish autodiff.Wish
	var output string
	cmd := &cobra.Command{
		Use:   "grad FILE.onnx --wrt GLOB... [--of OUTPUT] -o FILE.onnx",
		Short: "Make an ONNX model return gradients as well",
		Long: `Grad writes an ONNX model once more, with an output grad::NAME for each initializer and float input that a glob matches.
The result is a plain ONNX file: any ONNX Runtime runs it, in any language, on a phone too. Inputs, outputs and names stay.

An output of one element, such as a loss, is differentiated as it is. Any other gets one more input, cotangent::OUTPUT of the
output's shape, and the gradients are vector-Jacobian products with it: feed ones for the gradient of the sum.

A glob matches whole names: * stands for any characters, ? for one. Integers that match are left out with a note. Where an
operator has no gradient rule, every node that blocks the way is named, and nothing is written.`,
		Example: `  metalora grad classifier.onnx --wrt 'encoder.*' -o classifier.grad.onnx
  metalora grad model.onnx --wrt 'head.*' '*.bias' --of loss -o model.grad.onnx
  metalora grad vision.onnx --wrt pixels -o saliency.onnx`,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || len(wish.Wrt) == 0 || output == "" {
				return fault.Usage(errors.New("grad needs FILE.onnx, --wrt GLOB and -o FILE.onnx (see metalora grad --help)"))
			}
			wish.Wrt = append(wish.Wrt, args[1:]...)
			e, opset, err := pipeline.Gradients(args[0], output, wish)
			if err != nil {
				return err
			}
			p.gradSummary(e, opset, output)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&wish.Wrt, "wrt", nil, "by what to differentiate: `globs` of initializers and float inputs; may be given again")
	f.StringVar(&wish.Of, "of", "", "the `output` to differentiate (default: the model's first)")
	f.StringVarP(&output, "output", "o", "", "the `file` to write")
	return cmd
}

// gradSummary says what was written, and on stderr what one may not expect.
func (p *program) gradSummary(e *autodiff.Extension, opset int64, path string) {
	var zero []string
	for _, g := range e.Gradients {
		if g.Zero {
			zero = append(zero, g.Of)
		}
	}
	for _, note := range []struct {
		text  string
		names []string
	}{
		{"integers, which have no gradient, left out", e.Integers},
		{fmt.Sprintf("%s does not depend on them, so their gradient is zero", e.Of), zero},
	} {
		if len(note.names) > 0 {
			fmt.Fprintf(terminal.Writer(p.err), "note: %s: %s\n", note.text, strings.Join(note.names, ", "))
		}
	}
	if now := e.Model.Opset(""); now != opset {
		fmt.Fprintf(p.err, "note: lifted from opset %d to %d, which a gradient needs\n", opset, now)
	}
	p.printf("%s: %d gradients of %s\n", path, len(e.Gradients), e.Of)
	if e.Cotangent != "" {
		p.printf("it has several elements, or may have: feed its cotangent as %s\n", e.Cotangent)
	}
}
