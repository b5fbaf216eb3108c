package cli

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"metalora/pipeline/corpus"
	"metalora/pipeline/download"
)

func (p *program) dataPull() *cobra.Command {
	var from string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "pull convai2",
		Short: "Fetch ConvAI2's dialogues into the cache",
		Long: `Pull fetches ParlAI's official archive (convai2_fix_723.tgz, CC BY 4.0), checks its SHA-256 and unpacks it into the cache. A
download that was stopped goes on. From then on data.train and data.valid may be set to convai2.

The published experiment groups near-identical personas by persona maps, which are not in that archive and are not ours to give:
docs/data.md says where they come from. Without them, dialogues with equal persona sentences are one persona's.`,
		Example: `  metalora data pull convai2
  metalora data pull convai2 --from https://mirror.example/convai2_fix_723.tgz
  metalora data pull convai2 --from ~/Downloads/convai2_fix_723.tgz --json`,
		Args: takes(0, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := corpus.Named(args[0])
			if err != nil {
				return err
			}
			dir, err := c.Dir()
			if err != nil {
				return err
			}
			t := newTransfer(p.asides(), c.Name)
			if _, err := os.Stat(dir); err != nil {
				t.Expect(0)
			}
			err = c.Pull(cmd.Context(), &download.Client{Note: t.Note}, from, dir, t.Advance)
			t.end()
			if err != nil {
				return err
			}
			return p.pulledData(c, dir, asJSON)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "a mirror's `URL`, or the archive's file (default: "+corpus.ConvAI2.URL+")")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one JSON document: train, valid, and the persona maps that are missing")
	return cmd
}

// pulledData says where the files are and what an experiment needs besides.
func (p *program) pulledData(c corpus.Corpus, dir string, asJSON bool) error {
	train, valid := filepath.Join(dir, c.Train), filepath.Join(dir, c.Valid)
	missing := []string{}
	for _, name := range []string{"train_persona_map.json", "valid_persona_map.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			missing = append(missing, filepath.Join(dir, name))
		}
	}
	if asJSON {
		return p.json(map[string]any{"train": train, "valid": valid, "missing": missing, "licence": c.Licence})
	}
	p.printf("%s\n%s\nlicence: %s; set data.train and data.valid to %s\n", train, valid, c.Licence, c.Name)
	if len(missing) > 0 {
		p.printf("\nthe experiment needs a persona map beside each file (docs/data.md says where from):\n")
		for _, path := range missing {
			p.printf("  %s\n", path)
		}
		p.printf("or goes without: --set data.train_personas=none --set data.valid_personas=none\n")
	}
	return nil
}
