package cli

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"metalora/convai2"
	"metalora/pipeline/fault"
)

func (p *program) data() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "data",
		Short: "Look at dialogue files as tasks and samples",
		Example: `  metalora data tasks valid_self_original.txt --personas valid_persona_map.json
  metalora data samples valid_self_original.txt --personas valid_persona_map.json --cluster 45 --json`,
	}
	cmd.AddCommand(p.dataPull(), p.dataTasks(), p.dataSamples())
	return chooser(cmd, needsVerb)
}

// clusters holds the flags that say how dialogues become personas.
type clusters struct {
	personas, rules, match string
	heldOut                int
}

func (c *clusters) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.personas, "personas", "", "persona map, a JSON `file` (default: equal persona sets are one persona)")
	cmd.Flags().StringVar(&c.rules, "rules", string(convai2.Clean), "clean or published")
	cmd.Flags().StringVar(&c.match, "match", string(convai2.MatchExpand), "how persona sentences are compared: expand, literal or subset")
	cmd.Flags().IntVar(&c.heldOut, "held-out", -1, "dialogues held out of each cluster; the published rules rank by what is left (default 3 where the file's name begins with train, else 2, as published)")
}

// read reads a dialogue file and sorts it into personas.
func (c *clusters) read(path string) ([]*convai2.Dialogue, *convai2.Clustering, error) {
	rules, match := convai2.Rules(c.rules), convai2.Match(c.match)
	for _, err := range []error{rules.Check(), match.Check()} {
		if err != nil {
			return nil, nil, fault.Usage(err)
		}
	}
	heldOut := c.heldOut
	if heldOut == -1 {
		heldOut = publishedHeldOut(path)
	}
	if heldOut < 0 {
		return nil, nil, fault.Usage(fmt.Errorf("--held-out %d: a number of dialogues is 0 or more", heldOut))
	}
	var pm *convai2.PersonaMap
	if c.personas != "" {
		var err error
		if pm, err = convai2.LoadPersonaMap(c.personas); err != nil {
			return nil, nil, fault.Input(err)
		}
	}
	ds, err := convai2.ReadFile(path)
	if err != nil {
		return nil, nil, fault.Input(err)
	}
	clustering, err := convai2.Clusters(ds, pm, rules, match, heldOut)
	return ds, clustering, fault.Input(err)
}

func (p *program) dataTasks() *cobra.Command {
	var c clusters
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "tasks FILE",
		Short: "List the personas of a dialogue file, largest first",
		Example: `  metalora data tasks valid_self_original.txt --personas valid_persona_map.json
  metalora data tasks train_self_original.txt --personas train_persona_map.json --rules published --held-out 3 --json`,
		Args: takes(0, "FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			ds, clustering, err := c.read(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return p.json(append([]convai2.Cluster{}, clustering.Ranked...))
			}
			return p.tasksTable(ds, clustering)
		},
	}
	c.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the clusters as JSON")
	return cmd
}

func (p *program) tasksTable(ds []*convai2.Dialogue, c *convai2.Clustering) error {
	rows := [][]string{{"RANK", "CLUSTER", "DIALOGUES", "SAMPLES", "PERSONA"}}
	for _, k := range c.Ranked {
		first := ds[k.Dialogues[0]].Persona
		rows = append(rows, []string{fmt.Sprint(k.Rank), fmt.Sprint(k.Cluster), fmt.Sprint(len(k.Dialogues)), fmt.Sprint(k.Samples), first[0] + " …"})
	}
	if err := p.table(rows...); err != nil {
		return err
	}
	p.printf("\n%d dialogues: %d in %d clusters, %d of a persona met once, %d of no persona of the map\n", len(ds),
		len(ds)-len(c.Single)-len(c.Unmatched), len(c.Ranked), len(c.Single), len(c.Unmatched))
	return nil
}

func (p *program) dataSamples() *cobra.Command {
	var c clusters
	var cluster int
	var separator string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "samples FILE --cluster K",
		Short: "Write the samples of one persona: context, candidates and which of them is the reply",
		Long: `Samples writes every turn of a cluster's dialogues that has candidates. K is the cluster's number in the persona map, as
'metalora data tasks' shows it.`,
		Example: `  metalora data samples valid_self_original.txt --personas valid_persona_map.json --cluster 45 --json`,
		Args:    takes(0, "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("cluster") {
				return fault.Usage(fmt.Errorf("data samples needs --cluster K (data tasks lists them)"))
			}
			ds, clustering, err := c.read(args[0])
			if err != nil {
				return err
			}
			i := slices.IndexFunc(clustering.Ranked, func(k convai2.Cluster) bool { return k.Cluster == cluster })
			if i < 0 {
				return fault.Usage(fmt.Errorf("--cluster %d: the file has no two dialogues of it (data tasks lists those that are there)", cluster))
			}
			for _, d := range clustering.Ranked[i].Dialogues {
				if err := p.samples(ds[d], separator, asJSON); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.flags(cmd)
	cmd.Flags().IntVar(&cluster, "cluster", 0, "the cluster's `number` in the persona map")
	cmd.Flags().StringVar(&separator, "separator", "", "`text` between the utterances of a context")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one sample a line as JSON")
	return cmd
}

// samples writes the samples of a dialogue.
func (p *program) samples(d *convai2.Dialogue, separator string, asJSON bool) error {
	all, err := convai2.SamplesJoined(d, separator)
	if err != nil {
		return fault.Input(err)
	}
	for _, s := range all {
		if asJSON {
			if err := p.json(s); err != nil {
				return err
			}
			continue
		}
		p.printf("dialogue %d, turn %d\n  context  %s\n  reply    %s\n", s.Dialogue, s.Turn, s.Context, s.Candidates[s.Gold])
	}
	return nil
}

// publishedHeldOut is how many dialogues of a persona the published experiment holds out: retraining personas come from
// the train file, test personas from the validation file.
func publishedHeldOut(path string) int {
	if strings.HasPrefix(filepath.Base(path), "train") {
		return 3
	}
	return 2
}
