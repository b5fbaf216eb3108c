package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"metalora/onnx/ort"
	"metalora/pipeline/bench"
	"metalora/pipeline/fault"
)

const kernelsHelp = "use operators of metalora's own where the processor allows; --kernels=false leaves all to ONNX Runtime"

func (p *program) bench() *cobra.Command {
	var sizes []string
	var rows, length, threads, repeats int
	var profile, save string
	var asJSON, spin, kernels bool
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure steps of training and scoring against the engine's own matrix product",
		Long: `Bench runs one turn of each kind of step, and its share of an optimiser step every 8 turns, beside a MatMul of a layer's size, and prints the
ratio of their rates of floating-point operations. A machine changes speed from minute to minute: only the ratio says anything.`,
		Example: `  metalora bench --size minilm
  metalora bench --size base --repeats 3 --json`,
		Args: takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := ort.Start(""); err != nil {
				return fault.Input(err)
			}
			if !asJSON {
				p.printf("%s\n\n", bench.Machine(threads, !kernels))
			}
			var readings []*bench.Reading
			for _, size := range sizes {
				cases, err := bench.Cases(size, rows, length, threads, repeats)
				if err != nil {
					return fault.Usage(err)
				}
				for _, c := range cases {
					c.Spin, c.NoKernels = spin, !kernels
					if profile != "" {
						c.Profile = profile + strings.Map(plain, c.Name)
					}
					reading, err := bench.Measure(cmd.Context(), c)
					if err != nil {
						return err
					}
					readings = append(readings, reading)
				}
			}
			if save != "" {
				if err := bench.Save(save, threads, !kernels, readings); err != nil {
					return err
				}
			}
			if asJSON {
				return json.NewEncoder(p.out).Encode(readings)
			}
			return bench.WriteTable(p.out, readings)
		},
	}
	cmd.AddCommand(p.benchPeer(), p.benchExport(), p.benchCounts(), p.benchProfile(), p.benchPieces(), p.benchGrad(), p.benchStart(), p.benchGrowth())
	f := cmd.Flags()
	f.StringSliceVar(&sizes, "size", []string{"minilm", "base"}, "shapes to measure: demo, minilm, base")
	f.IntVar(&rows, "rows", 20, "pairs of a turn")
	f.IntVar(&length, "length", 96, "tokens of a pair")
	f.IntVar(&threads, "threads", 0, "threads of the engine; 0: all cores")
	f.IntVar(&repeats, "repeats", 0, "readings of each case; 0: 15, or 4 at base size")
	f.BoolVar(&spin, "spin", false, "let the engine's threads spin while a run is under way")
	f.BoolVar(&kernels, "kernels", true, kernelsHelp)
	f.StringVar(&profile, "profile", "", "write the engine's profile of each case to a file that begins with `PREFIX`")
	f.StringVar(&save, "save", "", "write the readings and their environment to `FILE`, as JSON")
	f.BoolVar(&asJSON, "json", false, "write the readings as JSON")
	return cmd
}

func (p *program) benchExport() *cobra.Command {
	var rows, length, threads, repeats int
	cmd := &cobra.Command{
		Use:     "export FILE.onnx",
		Short:   "Measure steps of an exported RoBERTa beside metalora's own graph of the same sizes",
		Long:    `Export runs turns of an exported RoBERTa and of metalora's own graph in alternation and prints the ratio of their times.`,
		Example: `  metalora bench export roberta.onnx --repeats 9`,
		Args:    takes(0, "FILE.onnx"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := ort.Start(""); err != nil {
				return fault.Input(err)
			}
			found, err := bench.CompareExport(cmd.Context(), args[0], rows, length, threads, repeats)
			if err != nil {
				return fault.Input(err)
			}
			table := [][]string{{"CASE", "EXPORT S", "OWN S", "RATIO", "QUARTILES"}}
			for _, c := range found {
				table = append(table, []string{c.Case, fmt.Sprintf("%.3f", c.Export), fmt.Sprintf("%.3f", c.Own), fmt.Sprintf("%.2f", c.Ratio),
					fmt.Sprintf("%.2f–%.2f", c.Low, c.High)})
			}
			return p.table(table...)
		},
	}
	f := cmd.Flags()
	f.IntVar(&rows, "rows", 20, "pairs of a turn")
	f.IntVar(&length, "length", 96, "tokens of a pair")
	f.IntVar(&threads, "threads", 0, "threads of the engine; 0: all cores")
	f.IntVar(&repeats, "repeats", 5, "readings of each case")
	return cmd
}

func (p *program) benchPeer() *cobra.Command {
	var o bench.PeerOptions
	var kernels bool
	cmd := &cobra.Command{
		Use:   "peer",
		Short: "Do the experiment's work one turn at a time, asked on standard input",
		Long: `Peer answers each line on standard input with one line of JSON, so that two programs that do the same work can be timed in
alternation, turn by turn:

  turn I   forward and, unless the mode is eval, backward of turn I of the data's first dialogues; gradients add up
  step     one step of AdamW
  tokenize the ids of every text of the data's validation file, on one thread
  gemm     the rate of the engine's own MatMul of [1500, 768] by [768, 3072]
  peak     the most memory resident so far`,
		Example: `  echo "turn 3" | metalora bench peer --mode eval --data shared/data --size minilm
  metalora bench peer --mode lora --data shared/data --model DIR --dropout 0`,
		Args: takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := ort.Start(""); err != nil {
				return fault.Input(err)
			}
			if o.Data == "" {
				return fault.Usage(errors.New("peer needs --data, the folder of convai2/ and roberta-tokenizer/"))
			}
			o.NoKernels = !kernels
			peer, err := bench.OpenPeer(o)
			if err != nil {
				return fault.Input(err)
			}
			defer peer.Close()
			return peer.Serve(cmd.Context(), p.in, p.out)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Mode, "mode", "full", "full: every weight, LoRA and head train; lora: LoRA and head; eval: forward alone")
	f.StringVar(&o.Data, "data", "", "`FOLDER` that holds convai2/ and roberta-tokenizer/")
	f.StringVar(&o.Model, "model", "", "model `FOLDER`; default: random weights of --size")
	f.StringVar(&o.Size, "size", "base", "shape of random weights: minilm, base")
	f.IntVar(&o.Dialogues, "dialogues", 13, "the task: the file's first dialogues")
	f.IntVar(&o.Rank, "rank", 8, "of LoRA")
	f.Float64Var(&o.Dropout, "dropout", 0.1, "of the model and of LoRA's input")
	f.IntVar(&o.Threads, "threads", 2, "threads of the engine; 0: all cores")
	f.BoolVar(&o.Spin, "spin", false, "let the engine's threads spin while a run is under way")
	f.BoolVar(&kernels, "kernels", true, kernelsHelp)
	return cmd
}

// plain keeps what may stand in a file's name.
func plain(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
		return r
	}
	return '-'
}
