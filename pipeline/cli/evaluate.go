package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"metalora/onnx/ort"
	"metalora/pipeline"
	"metalora/pipeline/fault"
)

func (p *program) evaluate() *cobra.Command {
	var o pipeline.EvaluateOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "evaluate --model DIR --adapters DIR... --data FILE",
		Short: "Measure many adapters of one model on a dialogue file",
		Long: `Evaluate scores every turn of a dialogue file that has candidates with every adapter, and prints a table of what each got. The
model is loaded once; where turns are small, several adapters share a run. All adapters are checked before the first is scored.

With --out, results are added to a file as they come: JSON lines, or CSV where its name ends in .csv. A second time the same
command does only what the file does not have yet; an adapter that has changed since is measured anew.`,
		Example: `  metalora evaluate --model models/roberta-base --adapters adapters/* --data my_dialogues.txt
  metalora evaluate --model models/roberta-base --adapters adapters/* --data my_dialogues.txt --out results.csv
  metalora evaluate --model DIR --adapters first second --data FILE --json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Model == "" || len(o.Adapters) == 0 || o.Data == "" {
				return fault.Usage(errors.New("evaluate needs --model DIR, --adapters DIR and --data FILE (see metalora evaluate --help)"))
			}
			o.Adapters = append(o.Adapters, args...)
			var all []pipeline.Evaluation
			for x, err := range pipeline.Evaluate(cmd.Context(), o, p.progress()) {
				if err == nil && asJSON {
					err = p.json(x)
				}
				if err != nil {
					return err
				}
				all = append(all, x)
			}
			if asJSON {
				return nil
			}
			return pipeline.EvaluationTable(all).WriteText(p.out)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Model, "model", "", "Hugging Face `folder`, .onnx file, or a name that 'model pull' fetched: the base of every adapter")
	f.StringArrayVar(&o.Adapters, "adapters", nil, "PEFT adapter `folders`")
	f.StringVar(&o.Data, "data", "", "dialogue `file` in ConvAI2's format")
	f.StringVar(&o.Out, "out", "", "`file` that results are added to: JSON lines, or .csv")
	f.StringVar(&o.Tokenizer, "tokenizer", "", "`folder` with the tokenizer (default: the model's)")
	f.StringVar(&o.Separator, "separator", "", "`text` between the utterances of a context, as in training")
	f.IntVar(&o.Threads, "threads", 0, "threads of the engine; 0: all cores")
	f.StringVar((*string)(&o.Device), "device", string(ort.CPU), "cpu or cuda (docs/gpu.md)")
	f.BoolVar(&asJSON, "json", false, "write one adapter a line as JSON")
	return cmd
}
