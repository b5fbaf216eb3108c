package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"metalora/onnx/ort"
	"metalora/pipeline/bench"
	"metalora/pipeline/fault"
)

func (p *program) benchGrowth() *cobra.Command {
	var data, save string
	var threads, turns int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "growth",
		Short: "Measure how cost and memory grow with the number of turns",
		Long: `Growth trains every weight of a small model on 10, 100, … turns of random lengths, scores them, and prints what a token takes and what memory
the process has after each. It takes minutes.`,
		Example: `  metalora bench growth --data shared/data --turns 1000`,
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := ort.Start(""); err != nil {
				return fault.Input(err)
			}
			if data == "" {
				return fault.Usage(errors.New("growth needs --data, the folder of convai2/ and roberta-tokenizer/"))
			}
			all, err := bench.MeasureGrowth(cmd.Context(), data, threads, turns)
			if err != nil {
				return fault.Input(err)
			}
			if save != "" {
				if err := bench.Save(save, threads, false, all); err != nil {
					return err
				}
			}
			if asJSON {
				return p.json(all)
			}
			p.printf("%s\n\n", bench.Machine(threads, false))
			return bench.WriteGrowth(p.out, all)
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "`FOLDER` that holds convai2/ and roberta-tokenizer/")
	f.IntVar(&turns, "turns", 10_000, "most turns")
	f.IntVar(&threads, "threads", 0, "threads of the engine; 0: all cores")
	f.StringVar(&save, "save", "", "write the readings and their environment to `FILE`, as JSON")
	f.BoolVar(&asJSON, "json", false, "print the readings as JSON")
	return cmd
}
