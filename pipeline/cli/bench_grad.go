package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"metalora/pipeline/bench"
	"metalora/pipeline/fault"
)

func (p *program) benchGrad() *cobra.Command {
	var size string
	var repeats int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "grad",
		Short: "Measure metalora grad of an exported RoBERTa, from file to file",
		Long: `Grad writes an export with random weights to the folder for temporary files and runs "metalora grad" on it, by every weight, as a process of
its own: seconds on the clock and of processor, and the most memory it had resident, beside the size of the file. The temporary folder
needs twice the file's size: 1 GB for base.`,
		Example: `  metalora bench grad --size base --repeats 5`,
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			if _, ok := bench.Sizes[size]; !ok || repeats < 1 {
				return fault.Usage(fmt.Errorf("size %q, %d repeats: want demo, minilm or base, and at least 1", size, repeats))
			}
			c, err := bench.MeasureGrad(cmd.Context(), self, size, repeats)
			if err != nil {
				return err
			}
			if asJSON {
				return p.json(c)
			}
			return p.table([]string{"SIZE", "LAYERS", "FILE MIB", "SECONDS", "QUARTILES", "CPU S", "PEAK MIB", "OF THE FILE"},
				[]string{c.Size, fmt.Sprint(c.Layers), fmt.Sprintf("%.0f", c.FileMiB), fmt.Sprintf("%.2f", c.Seconds), fmt.Sprintf("%.2f–%.2f", c.Low, c.High),
					fmt.Sprintf("%.2f", c.CPU), fmt.Sprintf("%.0f", c.PeakMiB), fmt.Sprintf("%.2f", c.Ratio)})
		},
	}
	f := cmd.Flags()
	f.StringVar(&size, "size", "base", "demo, minilm or base")
	f.IntVar(&repeats, "repeats", 5, "runs that count")
	f.BoolVar(&asJSON, "json", false, "write one JSON document")
	return cmd
}
