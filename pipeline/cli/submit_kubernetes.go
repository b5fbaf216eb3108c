package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"metalora/pipeline/batch"
	"metalora/pipeline/fault"
)

func (p *program) submitKubernetes() *cobra.Command {
	var x experiment
	var k batch.Kubernetes
	var dry bool
	cmd := &cobra.Command{
		Use:   "kubernetes CONFIG --image IMAGE --dry-run",
		Short: "Print the missing units as Indexed Jobs of Kubernetes",
		Long: `Kubernetes gets an Indexed Job for each stage, the configuration as a ConfigMap, and the claim of a volume that all pods share,
unless --claim names one. The volume is the working directory of the pods: the configuration's paths and --out count from it.
metalora talks to no cluster: hand what is printed to kubectl. A comment at its top says how the second stage is started.`,
		Example: `  metalora submit kubernetes configs/convai2.yaml --image registry.example/metalora:1 --dry-run > jobs.yaml
  kubectl apply -f jobs.yaml`,
		Args: takes(0, "CONFIG"),
		RunE: func(_ *cobra.Command, args []string) error {
			if !dry {
				return fault.Usage(errors.New("metalora does not talk to Kubernetes: print the manifests with --dry-run and hand them to `kubectl apply -f -`"))
			}
			e, err := x.open(args[0])
			if err != nil {
				return err
			}
			pending, err := e.Pending(x.only)
			if err != nil {
				return err
			}
			if len(pending) == 0 {
				return p.nothingToSubmit(true, false)
			}
			return k.Print(p.out, e, batch.Groups(pending))
		},
	}
	x.flags(cmd)
	f := cmd.Flags()
	f.BoolVar(&dry, "dry-run", false, "print the manifests (metalora sends nothing itself)")
	f.StringVar(&k.Image, "image", "", "container `image` with metalora and the ONNX Runtime library")
	f.StringVar(&k.Command, "program", "metalora", "metalora's `path` in the image")
	f.StringVar(&k.Claim, "claim", "", "an existing PersistentVolumeClaim (default: one is described)")
	f.StringVar(&k.Storage, "storage", "20Gi", "size of the claim that is described")
	f.IntVar(&k.CPUs, "cpus", 4, "CPUs, and threads, of each unit")
	f.StringVar(&k.Memory, "memory", "8Gi", "memory of each unit")
	f.IntVar(&k.Parallel, "parallel", 10, "most units at a time")
	return cmd
}
