package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"metalora/pipeline/fault"
)

// diagnosis is what the program finds on this computer.
type diagnosis struct {
	OK        bool          `json:"ok"`
	Version   string        `json:"version"`
	System    string        `json:"system"`
	Library   libraryReport `json:"library"`
	Threads   int           `json:"threads"` // that a run uses by default
	CPUs      int           `json:"cpus"`
	Features  []string      `json:"cpu_features"` // that the engine's kernels are chosen by
	Kernels   kernelReport  `json:"kernels"`
	Memory    int64         `json:"memory_bytes"`    // that this process may have; 0: not known
	Available int64         `json:"available_bytes"` // of it, now
	Group     string        `json:"memory_group"`    // the control group that allows less than the machine has; "": none
	Files     int64         `json:"file_limit"`      // that may be open at once; 0: not known
	Cache     string        `json:"cache"`
	Runs      string        `json:"run_folder"`
	Temporary string        `json:"temporary_folder"`
	Tools     toolReport    `json:"tools"`
	Peak      int64         `json:"peak_bytes"` // estimated, of the unit of CONFIG that takes most; 0: no CONFIG, or not known
	Problems  []problem     `json:"problems"`
}

type libraryReport struct {
	Path    string `json:"path"`
	Version string `json:"version"`
}

// kernelReport says which operators of our own runs use, "none" with the reason where they use none.
type kernelReport struct {
	Identity string `json:"identity"`
	Missing  string `json:"missing"`
}

// toolReport says where the programs lie that building from source needs; "" where they are not found. The program itself
// runs without them.
type toolReport struct {
	Go  string `json:"go"`
	CC  string `json:"cc"`
	NPM string `json:"npm"`
}

// problem is what stands in the way, and the line that mends it.
type problem struct {
	What string `json:"problem"`
	Fix  string `json:"fix"`
}

func (d *diagnosis) add(what, fix string) { d.Problems = append(d.Problems, problem{what, fix}) }

func (p *program) doctor() *cobra.Command {
	var x experiment
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor [CONFIG]",
		Short: "Say what is missing on this computer, and how to get it",
		Long: `Doctor loads the ONNX Runtime library and looks at what a run needs: threads, memory and the limits on it, folders that it
writes to, CPU features. With CONFIG it also estimates the most memory that a unit of that experiment takes, and says whether
it fits, and tries the device that it asks for. It exits 0 where all is well and 3 where something is missing; each problem
comes with the line that mends it.`,
		Example: `  metalora doctor
  metalora doctor configs/convai2.yaml --set model.path=models/roberta-base
  metalora doctor --json`,
		Args: takes(1, "CONFIG"),
		RunE: func(_ *cobra.Command, args []string) error {
			d := diagnose()
			if len(args) > 0 {
				e, err := x.open(args[0])
				if err != nil {
					return err
				}
				d.fits(e)
				d.computes(e.Config.Device)
			}
			return p.conclude(d, asJSON)
		},
	}
	x.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one JSON document")
	return cmd
}

// conclude shows a diagnosis; problems are exit code 3.
func (p *program) conclude(d *diagnosis, asJSON bool) error {
	d.OK = len(d.Problems) == 0
	if asJSON {
		if err := p.json(d); err != nil {
			return err
		}
	} else {
		p.show(d)
	}
	if !d.OK {
		return fault.Input(fmt.Errorf("%d problem(s) found", len(d.Problems)))
	}
	return nil
}

func (p *program) show(d *diagnosis) {
	known := func(n int64, text string) string {
		if n == 0 {
			return "not known"
		}
		return text
	}
	engine := "not found"
	if d.Library.Version != "" {
		engine = d.Library.Version + " at " + d.Library.Path
	}
	own := d.Kernels.Identity
	if d.Kernels.Missing != "" {
		own = "none: " + d.Kernels.Missing
	}
	memory := fmt.Sprintf("%s, %s of it free", size(&d.Memory), size(&d.Available))
	if d.Group != "" {
		memory += " (control group " + d.Group + ")"
	}
	p.printf("metalora      %s, %s\nONNX Runtime  %s\nthreads       %d of %d CPUs (%s)\nkernels       %s\nmemory        %s\n",
		d.Version, d.System, engine, d.Threads, d.CPUs, strings.Join(d.Features, " "), own, known(d.Memory, memory))
	p.printf("open files    %s\ncache         %s\nruns          %s\ntemporary     %s\n", known(d.Files, fmt.Sprint(d.Files)), d.Cache, d.Runs, d.Temporary)
	for _, tool := range [][2]string{{"go", d.Tools.Go}, {"C compiler", d.Tools.CC}, {"npm", d.Tools.NPM}} {
		if tool[1] == "" {
			tool[1] = "not found (needed to build from source alone)"
		}
		p.printf("%-13s %s\n", tool[0], tool[1])
	}
	if d.Peak > 0 {
		p.printf("experiment    takes about %s\n", size(&d.Peak))
	}
	for _, problem := range d.Problems {
		p.printf("\nproblem: %s\n    fix: %s\n", problem.What, problem.Fix)
	}
	if d.OK {
		p.printf("\nall is well\n")
	}
}
