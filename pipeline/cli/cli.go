// Package cli is the command line: one short file a verb.
//
// A verb is flags, one call into package pipeline or below, and output. Results go to stdout, as text or with --json as
// JSON; progress and messages go to stderr. A verb returns an error whose mark (package fault) is the exit code.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/spf13/cobra"

	"metalora/pipeline/fault"
	"metalora/pipeline/terminal"
)

// program is where a run of the command line reads and writes.
type program struct {
	in       io.Reader
	out, err io.Writer

	quiet, verbose bool
	ranks          ranks
}

// Main runs the command line until it is done or a signal asks it to stop, and returns the exit code. The first signal
// lets the work be saved; a second one ends the process at once.
func Main(args []string, in io.Reader, out, err io.Writer) int {
	ctx, restore := signal.NotifyContext(context.Background(), stopSignals...)
	defer restore()
	context.AfterFunc(ctx, restore)
	return Run(ctx, args, in, out, err)
}

// Run is [Main] without signals.
func Run(ctx context.Context, args []string, in io.Reader, out, err io.Writer) int {
	p := &program{in: in, out: terminal.Writer(out), err: err}
	root := p.root()
	root.SetArgs(args)
	failure := root.ExecuteContext(ctx)
	if failure != nil {
		fmt.Fprintln(terminal.Writer(err), p.ranks.name(), failure)
	}
	code, failure := p.ranks.leave(fault.Code(failure))
	if failure != nil {
		fmt.Fprintln(terminal.Writer(err), p.ranks.name(), failure)
		code = max(code, fault.CodeFailed)
	}
	return code
}

// root is the command that all verbs hang on.
func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "metalora",
		Short: "Fine-tunes transformer encoders and measures which way of retraining adapts best",
		Long: `metalora fine-tunes transformer encoders from Go, with ONNX Runtime doing the arithmetic. Its main job is one
experiment: retrain RoBERTa on persona dialogues in the conventional way and in the meta way, adapt both to unseen
personas with LoRA, and say which predicts the next utterance better.`,
		Example: `  metalora demo                              the whole experiment on made-up dialogues, in minutes
  metalora run configs/convai2.yaml          the published experiment, on your files
  metalora doctor                            what is missing on this computer, and how to get it`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version(),
	}
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(terminal.Writer(p.err))
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fault.Usage(fmt.Errorf("%w (see %s --help)", err, cmd.CommandPath()))
	})
	groups := []struct {
		title string
		verbs []*cobra.Command
	}{
		{"Experiments:", []*cobra.Command{p.demo(), p.run(), p.plan(), p.unit(), p.submit(), p.status(), p.report(), p.verify(), p.linear()}},
		{"Models and data:", []*cobra.Command{p.tune(), p.predict(), p.evaluate(), p.logits(), p.grad(), p.data(), p.tokenize(), p.model()}},
		{"This program:", []*cobra.Command{p.doctor(), p.bench()}},
	}
	for _, g := range groups {
		root.AddGroup(&cobra.Group{ID: g.title, Title: g.title})
		for _, verb := range g.verbs {
			verb.GroupID = g.title
			root.AddCommand(verb)
		}
	}
	root.PersistentFlags().BoolVarP(&p.quiet, "quiet", "q", false, "no progress on standard error, only what went wrong")
	root.PersistentFlags().BoolVarP(&p.verbose, "verbose", "v", false, "progress as a line for every step")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := alone(cmd); err != nil {
			return err
		}
		if p.quiet && p.verbose {
			return fault.Usage(errors.New("--quiet and --verbose contradict each other; leave one out"))
		}
		return nil
	}
	root.SetHelpCommandGroupID("This program:")
	root.SetCompletionCommandGroupID("This program:")
	chooser(root, func(cmd *cobra.Command) error { return cmd.Help() })
	return root
}

// chooser makes a command that only stands before its verbs: an unknown verb is an error that names the nearest.
func chooser(cmd *cobra.Command, alone func(*cobra.Command) error) *cobra.Command {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return alone(cmd)
		}
		cmd.SuggestionsMinimumDistance = 2
		hint := fmt.Sprintf("(see %s --help)", cmd.CommandPath())
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			hint = fmt.Sprintf("(did you mean %q?)", near[0])
		}
		return fault.Usage(fmt.Errorf("there is no verb %q %s", cmd.CommandPath()+" "+args[0], hint))
	}
	return cmd
}

// needsVerb is what a chooser says alone.
func needsVerb(cmd *cobra.Command) error {
	return fault.Usage(fmt.Errorf("%s needs a verb (see %s --help)", cmd.CommandPath(), cmd.CommandPath()))
}

// takes says which arguments a verb has; the last optional ones may be left out.
func takes(optional int, names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(names)-optional {
			return fault.Usage(fmt.Errorf("%s needs %s (see %s --help)", cmd.CommandPath(), names[len(args)], cmd.CommandPath()))
		}
		if len(args) > len(names) {
			return fault.Usage(fmt.Errorf("%s has no use for %q (see %s --help)", cmd.CommandPath(), args[len(names)], cmd.CommandPath()))
		}
		return nil
	}
}

// open opens a file that a verb reads; "-" or nothing is standard input.
func (p *program) open(args []string) (io.ReadCloser, string, error) {
	if len(args) == 0 || args[0] == "-" {
		return io.NopCloser(p.in), "standard input", nil
	}
	file, err := os.Open(args[0])
	if err != nil {
		return nil, "", fault.Input(fmt.Errorf("reading: %w", err))
	}
	return file, args[0], nil
}
