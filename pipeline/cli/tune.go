package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"metalora/pipeline"
	"metalora/pipeline/fault"
)

func (p *program) tune() *cobra.Command {
	var o pipeline.TuneOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "tune --model DIR --data FILE [--adapter-out DIR]",
		Short: "Fit one LoRA adapter to your own dialogues",
		Long: `Tune fits a LoRA adapter and a fresh head to a dialogue file and measures them on its last dialogues, which are held out
(two, unless tasks.test.held_out says otherwise). The adapter is written as a PEFT folder that names its base, with event files for
TensorBoard in runs/. Stopped at any time, the same command goes on.

All dialogues of the file train one adapter. With --persona N only those of the N-th largest persona do: by the persona
map where --personas names one, else dialogues with equal persona sentences are one persona's.`,
		Example: `  metalora tune --model models/roberta-base --data my_dialogues.txt --adapter-out my_adapter
  metalora tune --model DIR --data FILE --set adapt.families=[lora-16] --set adapt.epochs=5 --json
  metalora tune --model DIR --data valid_self_original.txt --personas valid_persona_map.json --persona 1`,
		Args: takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Model == "" || o.Data == "" {
				return fault.Usage(errors.New("tune needs --model DIR and --data FILE (see metalora tune --help)"))
			}
			result, err := pipeline.Tune(cmd.Context(), o, p.progress())
			if err != nil {
				return err
			}
			if asJSON {
				return p.json(result)
			}
			h := result.HeldOut
			p.printf("%s: %d training turns, %d steps, %d weights trained\n", result.Family, result.Turns, result.Steps, result.Parameters)
			p.printf("held out: %d turns, accuracy %.1f %%, hits@5 %.1f %%, MRR %.3f (chance %.1f %%)\n",
				h.Turns, 100*h.Accuracy, 100*h.Hits5, h.MRR, 100*h.Chance)
			if result.Adapter != "" {
				p.printf("adapter: %s\n", result.Adapter)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Model, "model", "", "Hugging Face `folder` of the base, tokenizer included, or a name that 'model pull' fetched")
	f.StringVar(&o.Data, "data", "", "dialogue `file` in ConvAI2's format")
	f.StringVar(&o.Personas, "personas", "", "persona map, a JSON `file`")
	f.IntVar(&o.Persona, "persona", 0, "only the `N`-th largest persona of the file, from 1")
	f.StringVar(&o.Licence, "licence", "", "`licence` of the dialogues for the adapter's model card, as the hub writes it (cc-by-4.0)")
	f.StringVar(&o.AdapterOut, "adapter-out", "", "`folder` for the adapter; without it the adapter is measured and thrown away")
	f.StringArrayVar(&o.Sets, "set", nil, "override a value, `key=value`: adapt.epochs, adapt.learning_rate, model.tokenizer, …")
	f.BoolVar(&asJSON, "json", false, "write the metrics as JSON")
	return cmd
}
