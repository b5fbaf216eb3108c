package cli

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"metalora/pipeline/bench"
	"metalora/pipeline/fault"
)

func (p *program) benchCounts() *cobra.Command {
	var sizes []string
	var rows, length int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "counts",
		Short: "Count what each kind of step costs: operators, products and bytes, the same on every machine",
		Long: `Counts reads off the graphs what one turn of each kind of step costs: operators of the graph before the engine fuses any, runs of
the engine that a turn is parted into, floating-point operations of matrix products, bytes that operators read of weights, and bytes that
they read and write of all else.`,
		Example: `  metalora bench counts --size base
  metalora bench counts --rows 10 --length 128 --json`,
		Args: takes(0),
		RunE: func(*cobra.Command, []string) error {
			var cases []bench.Case
			for _, size := range sizes {
				of, err := bench.Cases(size, rows, length, 1, 1)
				if err != nil {
					return fault.Usage(err)
				}
				cases = append(cases, of...)
			}
			counts, err := bench.Counts(cases)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(p.out).Encode(counts)
			}
			return bench.WriteCounts(p.out, counts)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&sizes, "size", []string{"minilm", "base"}, "shapes to count: demo, minilm, base")
	f.IntVar(&rows, "rows", 20, "pairs of a turn")
	f.IntVar(&length, "length", 96, "tokens of a pair")
	f.BoolVar(&asJSON, "json", false, "write the counts as JSON")
	return cmd
}
