package cli

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"metalora/pipeline"
)

// experiment holds the flags that all verbs of an experiment share, so that they always find the same run.
type experiment struct {
	sets, only []string
	out        string
}

func (x *experiment) flags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&x.sets, "set", nil, "override a value of the configuration, `key=value` (as often as needed)")
	cmd.Flags().StringArrayVar(&x.only, "only", nil, "only units whose ID or label matches the `glob`, and what they need; never renumbers")
	cmd.Flags().StringVar(&x.out, "out", "", "the run's `folder` (default runs/ and the configuration's name)")
}

// open loads the configuration and looks at the run's folder.
func (x *experiment) open(path string) (*pipeline.Experiment, error) {
	c, err := pipeline.Load(path, x.sets)
	if err != nil {
		return nil, err
	}
	return x.place(c)
}

func (x *experiment) place(c *pipeline.Config) (*pipeline.Experiment, error) {
	dir := x.out
	if dir == "" {
		dir = filepath.Join("runs", c.Name)
	}
	return pipeline.Open(c, dir)
}
