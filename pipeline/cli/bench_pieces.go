package cli

import (
	"encoding/json"
	"errors"

	"github.com/spf13/cobra"

	"metalora/onnx/ort"
	"metalora/pipeline/bench"
	"metalora/pipeline/fault"
)

func (p *program) benchPieces() *cobra.Command {
	var data, save string
	var threads int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "pieces",
		Short: "Measure what is no step: the optimiser, the tokenizer, runs that mix adapters",
		Long: `Pieces measures AdamW over 125 million weights against streaming its bytes, the tokenizer on one thread, and scoring a batch that mixes ten
adapters against the same batch with one.`,
		Example: `  metalora bench pieces --data shared/data`,
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := ort.Start(""); err != nil {
				return fault.Input(err)
			}
			if data == "" {
				return fault.Usage(errors.New("pieces needs --data, the folder of convai2/ and roberta-tokenizer/"))
			}
			pieces, err := bench.Pieces(cmd.Context(), data, threads)
			if err != nil {
				return fault.Input(err)
			}
			if save != "" {
				if err := bench.Save(save, threads, false, pieces); err != nil {
					return err
				}
			}
			if asJSON {
				return json.NewEncoder(p.out).Encode(pieces)
			}
			return bench.WritePieces(p.out, pieces)
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "`FOLDER` that holds convai2/ and roberta-tokenizer/")
	f.IntVar(&threads, "threads", 0, "threads of the engine; 0: all cores")
	f.StringVar(&save, "save", "", "write the readings and their environment to `FILE`, as JSON")
	f.BoolVar(&asJSON, "json", false, "print the readings as JSON")
	return cmd
}
