package batch

import (
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"metalora/pipeline"
	"metalora/pipeline/fault"
)

// Kubernetes says how the units of an experiment become Indexed Jobs, one for each stage.
type Kubernetes struct {
	Image    string // with metalora and the engine's library in it
	Command  string // metalora's path in the image
	Claim    string // an existing PersistentVolumeClaim; "": one is described
	Storage  string // of the claim that is described
	CPUs     int    // of each unit
	Memory   string // of each unit
	Parallel int    // units at a time in a job
}

// Where a pod finds things.
const (
	volumeMount = "/work" // the claim: data, run folder and caches; relative paths of the configuration count from it
	configMount = "/etc/metalora"
	configKey   = "experiment.yaml"
)

type object = map[string]any

var (
	imageForm    = regexp.MustCompile(`^[\w][\w.:/@-]*$`)
	quantityForm = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?([KMGT]i?)?$`)
	claimForm    = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)
)

func (k Kubernetes) check(e *pipeline.Experiment) error {
	for _, rule := range []struct {
		good    bool
		message string
	}{
		{imageForm.MatchString(k.Image), fmt.Sprintf("--image %q: give an image that has metalora and the ONNX Runtime library", k.Image)},
		{k.Claim == "" || claimForm.MatchString(k.Claim), fmt.Sprintf("--claim %q is no name of a PersistentVolumeClaim", k.Claim)},
		{quantityForm.MatchString(k.Memory), fmt.Sprintf("--memory %q is no quantity: 8Gi", k.Memory)},
		{quantityForm.MatchString(k.Storage), fmt.Sprintf("--storage %q is no quantity: 20Gi", k.Storage)},
		{k.CPUs >= 1 && k.Parallel >= 1, fmt.Sprintf("--cpus %d, --parallel %d: both are at least 1", k.CPUs, k.Parallel)},
		{!path.IsAbs(e.Dir) && !strings.HasPrefix(path.Clean(e.Dir), ".."), fmt.Sprintf("--out %s: in a pod the run's folder lies in the volume; give a path relative to it", e.Dir)},
	} {
		if !rule.good {
			return fault.Usage(fmt.Errorf("%s", rule.message))
		}
	}
	return nil
}

// Print writes the manifests: the claim unless one is named, the configuration, and a job for each stage. Jobs after the first
// are suspended; the comment at the top says how they are started.
func (k Kubernetes) Print(w io.Writer, e *pipeline.Experiment, groups []Group) error {
	if err := k.check(e); err != nil {
		return err
	}
	name, err := Name(e)
	if err != nil {
		return err
	}
	_, config, err := Frozen(e)
	if err != nil {
		return err
	}
	documents := []object{configMap(name, config)}
	if k.Claim == "" {
		k.Claim = name
		documents = append(documents, k.claim(name))
	}
	var jobs []string
	for _, s := range stages(groups) {
		job := name + "-" + string(s.Kind)
		documents = append(documents, k.job(job, name, e.Dir, s, len(jobs) > 0))
		jobs = append(jobs, job)
	}
	if _, err := io.WriteString(w, guide(k.Claim, jobs)); err != nil {
		return err
	}
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	for _, d := range documents {
		if err := encoder.Encode(d); err != nil {
			return fmt.Errorf("writing manifests: %w", err)
		}
	}
	return encoder.Close()
}

// stages joins the groups of a kind: an Indexed Job waits for nothing, so a stage starts when the one before is complete.
func stages(groups []Group) []Group {
	var joined []Group
	for _, g := range groups {
		if n := len(joined); n > 0 && joined[n-1].Kind == g.Kind {
			joined[n-1].Units = append(joined[n-1].Units, g.Units...)
			continue
		}
		joined = append(joined, Group{Kind: g.Kind, Units: append([]int{}, g.Units...)})
	}
	return joined
}

// guide is the comment that says what to do with the manifests.
func guide(claim string, jobs []string) string {
	text := fmt.Sprintf("# The claim %s has to hold the data and the model under the paths that the configuration names; results go there too.\n", claim)
	text += "#   kubectl apply -f THIS_FILE\n"
	for i := 1; i < len(jobs); i++ {
		text += fmt.Sprintf("#   kubectl wait --for=condition=Complete --timeout=-1s job/%s && kubectl patch job/%s -p '{\"spec\":{\"suspend\":false}}'\n", jobs[i-1], jobs[i])
	}
	return text
}

func configMap(name string, config []byte) object {
	return object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": object{"name": name}, "data": object{configKey: string(config)}}
}

// claim is the volume that all pods share.
func (k Kubernetes) claim(name string) object {
	return object{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": object{"name": name},
		"spec": object{"accessModes": []string{"ReadWriteMany"}, "resources": object{"requests": object{"storage": k.Storage}}}}
}

// job is the Indexed Job of a stage. A unit that cannot succeed (exit codes 2, 3 and 4) is not tried again; one whose pod is
// evicted, or that stopped at a checkpoint, is; and no second copy starts while the first still ends.
func (k Kubernetes) job(name, config, out string, s Group, suspended bool) object {
	spec := object{
		"completionMode": "Indexed", "completions": len(s.Units), "parallelism": min(k.Parallel, len(s.Units)),
		"backoffLimitPerIndex": 3, "podReplacementPolicy": "Failed",
		"podFailurePolicy": object{"rules": []object{
			{"action": "Ignore", "onPodConditions": []object{{"type": "DisruptionTarget", "status": "True"}}},
			{"action": "FailIndex", "onExitCodes": object{"containerName": "unit", "operator": "In", "values": []int{fault.CodeUsage, fault.CodeInput, fault.CodeNumbers}}},
		}},
		"template": object{"spec": k.pod(config, out, s)},
	}
	if suspended {
		spec["suspend"] = true
	}
	return object{"apiVersion": "batch/v1", "kind": "Job", "metadata": object{"name": name, "labels": object{"app.kubernetes.io/name": "metalora", "app.kubernetes.io/instance": config}}, "spec": spec}
}

func (k Kubernetes) pod(config, out string, s Group) object {
	size := object{"cpu": fmt.Sprint(k.CPUs), "memory": k.Memory}
	unit := object{
		"name": "unit", "image": k.Image, "workingDir": volumeMount,
		"command":   []string{k.Command, "unit", path.Join(configMount, configKey), "--out", out, "--among", Ranges(s.Units), "--set", fmt.Sprintf("threads=%d", k.CPUs)},
		"env":       []object{{"name": "HF_HOME", "value": volumeMount + "/cache/huggingface"}, {"name": "XDG_CACHE_HOME", "value": volumeMount + "/cache"}},
		"resources": object{"requests": size, "limits": object{"memory": k.Memory}},
		"volumeMounts": []object{
			{"name": "work", "mountPath": volumeMount},
			{"name": "config", "mountPath": configMount, "readOnly": true},
		},
	}
	return object{
		"restartPolicy": "Never", "terminationGracePeriodSeconds": 60, "containers": []object{unit},
		"volumes": []object{
			{"name": "work", "persistentVolumeClaim": object{"claimName": k.Claim}},
			{"name": "config", "configMap": object{"name": config}},
		},
	}
}
