package cli

import (
	"github.com/spf13/cobra"

	"metalora/pipeline/fault"
	"metalora/pipeline/hub"
)

func (p *program) modelPull() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "pull NAME[@REVISION]",
		Short: "Fetch a model from Hugging Face's hub into the cache shared with Python",
		Long: `Pull brings a model's configuration, safetensors and tokenizer into the cache of Python's huggingface_hub, at the same places:
what is there already, whoever fetched it, is not fetched again. A download that was stopped goes on; every file's sum is
checked before it gets its name. From then on the name works wherever a model folder is asked for, without a network.

HF_HOME and HF_HUB_CACHE say where the cache is, HF_TOKEN (or a login by Python's hf) opens private and gated models,
HF_ENDPOINT names a mirror, HF_HUB_OFFLINE=1 forbids asking the hub.`,
		Example: `  metalora model pull roberta-base
  metalora tune --model roberta-base --data my_dialogues.txt
  metalora model pull microsoft/MiniLM-L12-H384-uncased@main --json`,
		Args: takes(0, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := hub.ParseName(args[0])
			if err != nil {
				return fault.Usage(err)
			}
			t := newTransfer(p.asides(), name.String())
			pulled, err := hub.NewClient(hub.FromEnvironment()).Pull(cmd.Context(), name, t)
			t.end()
			if err != nil {
				return err
			}
			if asJSON {
				return p.json(pulled)
			}
			p.printf("%s\n%d files, %s, %d of them fetched now; --model %s finds them\n", pulled.Dir, len(pulled.Files), size(&pulled.Bytes), pulled.Fetched, name)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one JSON document: path, commit, files, fetched, bytes")
	return cmd
}
