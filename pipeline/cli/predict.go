package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"metalora/convai2"
	"metalora/onnx/ort"
	"metalora/pipeline"
	"metalora/pipeline/fault"
)

func (p *program) predict() *cobra.Command {
	var o pipeline.PredictOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "predict --model DIR [--adapter DIR] [FILE]",
		Short: "Score the candidates of a dialogue file",
		Long: `Predict reads dialogues from FILE or standard input and scores every turn that has candidates, one turn a line, as the dialogues
come. The score is the logit of "this is the next utterance"; the higher the likelier. A model without a classification head is refused,
and so is an adapter that was trained on other weights.`,
		Example: `  metalora predict --model models/roberta-base --adapter my_adapter my_dialogues.txt
  metalora predict --model models/roberta-base --adapter my_adapter --json - < my_dialogues.txt`,
		Args: takes(1, "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Model == "" {
				return fault.Usage(errors.New("predict needs --model DIR (see metalora predict --help)"))
			}
			in, name, err := p.open(args)
			if err != nil {
				return err
			}
			defer in.Close()
			predictor, err := pipeline.OpenPredictor(o)
			if err != nil {
				return err
			}
			defer predictor.Close()
			p.notes(predictor.Notes())
			for x, err := range predictor.Predict(cmd.Context(), convai2.Dialogues(in, name)) {
				if err == nil && asJSON {
					err = p.json(x)
				} else if err == nil {
					p.printf("dialogue %d, turn %d: candidate %d, score %.4f of %d\n", x.Dialogue, x.Turn, x.Best, x.Scores[x.Best], len(x.Scores))
				}
				if err != nil {
					return fmt.Errorf("predicting %s: %w", name, err)
				}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Model, "model", "", "Hugging Face `folder`, .onnx file, or a name that 'model pull' fetched")
	f.StringVar(&o.Adapter, "adapter", "", "PEFT adapter `folder`")
	f.StringVar(&o.Tokenizer, "tokenizer", "", "`folder` with the tokenizer (default: the model's)")
	f.StringVar(&o.Separator, "separator", "", "`text` between the utterances of a context, as in training")
	f.IntVar(&o.Threads, "threads", 0, "threads of the engine; 0: all cores")
	f.StringVar((*string)(&o.Device), "device", string(ort.CPU), "cpu or cuda (docs/gpu.md)")
	f.BoolVar(&asJSON, "json", false, "write {\"dialogue\",\"turn\",\"scores\",\"best\"} a line")
	return cmd
}
