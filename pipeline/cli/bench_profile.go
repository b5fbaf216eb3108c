package cli

import (
	"encoding/json"
	"slices"

	"github.com/spf13/cobra"

	"metalora/onnx/ort"
	"metalora/pipeline/bench"
	"metalora/pipeline/fault"
)

func (p *program) benchProfile() *cobra.Command {
	var sizes []string
	var rows, length, threads, turns int
	var save string
	var asJSON, kernels bool
	cmd := &cobra.Command{
		Use:   "profile",
		Short: "Say where a step's time goes, by operator and by part of the model",
		Long: `Profile runs turns of each kind of training step under the engine's own profiler and sums its times up by operator and by part of the
model. GFLOP/s count matrix products alone; GB/s what operators read and write.`,
		Example: `  metalora bench profile --size minilm --turns 3`,
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := ort.Start(""); err != nil {
				return fault.Input(err)
			}
			var profiles []*bench.Profile
			if !asJSON {
				p.printf("%s\n", bench.Machine(threads, !kernels))
			}
			for _, size := range sizes {
				cases, err := bench.Cases(size, rows, length, threads, turns)
				if err != nil {
					return fault.Usage(err)
				}
				for _, c := range slices.DeleteFunc(cases, func(c bench.Case) bool { return c.Trains == 0 }) {
					c.NoKernels = !kernels
					profile, err := bench.ProfileCase(cmd.Context(), c, turns)
					if err != nil {
						return err
					}
					profiles = append(profiles, profile)
					if asJSON {
						continue
					}
					p.printf("\n")
					if err := profile.Write(p.out); err != nil {
						return err
					}
				}
			}
			if save != "" {
				if err := bench.Save(save, threads, !kernels, profiles); err != nil {
					return err
				}
			}
			if asJSON {
				return json.NewEncoder(p.out).Encode(profiles)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&sizes, "size", []string{"minilm", "base"}, "shapes to profile: demo, minilm, base")
	f.IntVar(&rows, "rows", 20, "pairs of a turn")
	f.IntVar(&length, "length", 96, "tokens of a pair")
	f.IntVar(&threads, "threads", 0, "threads of the engine; 0: all cores")
	f.IntVar(&turns, "turns", 3, "turns to measure, after one that is not")
	f.BoolVar(&kernels, "kernels", true, kernelsHelp)
	f.StringVar(&save, "save", "", "write the profiles and their environment to `FILE`, as JSON")
	f.BoolVar(&asJSON, "json", false, "write the profiles as JSON")
	return cmd
}
