package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"metalora/onnx/ort"
	"metalora/pipeline/bench"
	"metalora/pipeline/fault"
)

func (p *program) benchStart() *cobra.Command {
	var data, size string
	var repeats int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Measure from the start of the program to the first turn, and the memory until then",
		Long: `Start writes a model with random weights to the folder for temporary files and starts "metalora bench peer" on it as a process of its own:
seconds until the first turn of a training of every weight with LoRA could begin, and until it is done; and the most memory that was
resident before it. The fixed part of that is what a process takes whose model has as many layers and next to no weights: program,
engine, graph and turns. The temporary folder needs the file's size: 500 MB for base.`,
		Example: `  metalora bench start --data shared/data --size base --repeats 5`,
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			if data == "" {
				return fault.Usage(errors.New("start needs --data, the folder of convai2/ and roberta-tokenizer/"))
			}
			if _, ok := bench.Sizes[size]; !ok || repeats < 1 {
				return fault.Usage(fmt.Errorf("size %q, %d repeats: want demo, minilm or base, and at least 1", size, repeats))
			}
			c, err := bench.MeasureStart(cmd.Context(), self, data, size, repeats)
			if err != nil {
				return err
			}
			if asJSON {
				return p.json(c)
			}
			if err := ort.Start(""); err != nil { // whose version is told; the processes that were measured had their own
				return fault.Input(err)
			}
			p.printf("%s\n\n", bench.Machine(0, false))
			return p.table([]string{"SIZE", "FILE MIB", "READY S", "QUARTILES", "FIRST TURN S", "PEAK MIB", "FIXED MIB", "BEYOND IT, OF THE FILE", "PEAK, OF THE FILE"},
				[]string{c.Size, fmt.Sprintf("%.0f", c.FileMiB), fmt.Sprintf("%.2f", c.Ready), fmt.Sprintf("%.2f–%.2f", c.Low, c.High), fmt.Sprintf("%.2f", c.FirstTurn),
					fmt.Sprintf("%.0f", c.PeakMiB), fmt.Sprintf("%.0f", c.FixedMiB), fmt.Sprintf("%.2f", c.Ratio), fmt.Sprintf("%.2f", c.PeakMiB/c.FileMiB)})
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "`FOLDER` that holds convai2/ and roberta-tokenizer/")
	f.StringVar(&size, "size", "base", "demo, minilm or base")
	f.IntVar(&repeats, "repeats", 5, "starts that count")
	f.BoolVar(&asJSON, "json", false, "write one JSON document")
	return cmd
}
