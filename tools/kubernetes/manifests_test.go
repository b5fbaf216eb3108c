// Package kubernetes validates the manifests that `metalora submit kubernetes` prints, by the code that Kubernetes' API server
// itself runs on them: strict decoding, defaults, validation. It is a module of its own, since that code brings 200 others.
package kubernetes

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/batch"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	batchvalidation "k8s.io/kubernetes/pkg/apis/batch/validation"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
)

// golden is what a test of pipeline/batch holds `submit kubernetes` to.
const golden = "../../pipeline/batch/testdata/demo.yaml"

// validate checks all documents of a file as the server would, and counts them by kind.
func validate(data []byte) (kinds map[string]int, err error) {
	kinds = map[string]int{}
	reader := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return kinds, nil
		}
		if err != nil {
			return nil, err
		}
		kind, err := one(document)
		if err != nil {
			return nil, err
		}
		kinds[kind]++
	}
}

func one(document []byte) (string, error) {
	strict := serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict)
	versioned, kind, err := strict.UniversalDeserializer().Decode(document, nil, nil)
	if err != nil {
		return "", err
	}
	legacyscheme.Scheme.Default(versioned)
	internal, err := legacyscheme.Scheme.ConvertToVersion(versioned, runtime.InternalGroupVersioner)
	if err != nil {
		return "", err
	}
	var problems field.ErrorList
	switch o := internal.(type) {
	case *batch.Job:
		asStored(o)
		problems = batchvalidation.ValidateJob(o, batchvalidation.JobValidationOptions{RequirePrefixedLabels: true})
	case *core.ConfigMap:
		o.Namespace = metav1.NamespaceDefault
		problems = corevalidation.ValidateConfigMap(o)
	case *core.PersistentVolumeClaim:
		o.Namespace = metav1.NamespaceDefault
		problems = corevalidation.ValidatePersistentVolumeClaim(o, corevalidation.PersistentVolumeClaimSpecValidationOptions{})
	default:
		return "", fmt.Errorf("nobody expects a %s", kind.Kind)
	}
	return kind.Kind, problems.ToAggregate()
}

// asStored adds what the server adds before it validates: a namespace, a UID, and the selector that it generates.
func asStored(job *batch.Job) {
	job.Namespace, job.UID = metav1.NamespaceDefault, "1"
	labels := map[string]string{"controller-uid": "1", "batch.kubernetes.io/controller-uid": "1", "job-name": job.Name, "batch.kubernetes.io/job-name": job.Name}
	if job.Spec.Template.Labels == nil {
		job.Spec.Template.Labels = map[string]string{}
	}
	for key, value := range labels {
		job.Spec.Template.Labels[key] = value
	}
	job.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"batch.kubernetes.io/controller-uid": "1"}}
}

func TestManifests(t *testing.T) {
	data, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	kinds, err := validate(data)
	if err != nil {
		t.Fatal(err)
	}
	if kinds["Job"] != 2 || kinds["ConfigMap"] != 1 || kinds["PersistentVolumeClaim"] != 1 {
		t.Errorf("documents: %v", kinds)
	}
}

// TestBroken shows that the validation finds what could be wrong.
func TestBroken(t *testing.T) {
	data, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"misspelt key":         {"completionMode:", "completionmode:"},
		"wrong type":           {"completions: 4", "completions: four"},
		"wrong quantity":       {"memory: 8Gi", "memory: 8Gigs"},
		"unknown mode":         {"completionMode: Indexed", "completionMode: Indices"},
		"policy and retries":   {"podReplacementPolicy: Failed", "podReplacementPolicy: TerminatingOrFailed"},
		"restart policy":       {"restartPolicy: Never", "restartPolicy: Always"},
		"no such container":    {"containerName: unit", "containerName: other"},
		"index without mode":   {"completionMode: Indexed", "completionMode: NonIndexed"},
		"bad name":             {"name: metalora-demo-000000-retrain", "name: Metalora_demo"},
		"mount without volume": {"- mountPath: /work\n              name: work", "- mountPath: /work\n              name: disk"},
		"access mode":          {"ReadWriteMany", "ReadWriteAll"},
	} {
		t.Run(name, func(t *testing.T) {
			broken := strings.Replace(string(data), change[0], change[1], 1)
			if bytes.Equal([]byte(broken), data) {
				t.Fatalf("%q is not in the manifests", change[0])
			}
			if _, err := validate([]byte(broken)); err == nil {
				t.Error("nothing was found")
			} else {
				t.Log(err)
			}
		})
	}
}
