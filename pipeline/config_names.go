package pipeline

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"metalora/pipeline/config"
)

// The two data files of an experiment, as tasks name them.
const (
	FileTrain = "train"
	FileValid = "valid"
)

// The ways in which a schedule counts its steps.
const (
	DecayTotal     = "total"     // the run's own steps
	DecayPublished = "published" // multiples of the first task's steps, as in the published code
)

// Variant is the name of a retraining method or an adaptation family, taken apart: "meta-lora-8" is meta-lora of rank 8.
type Variant struct {
	Kind string
	Rank int // 0 where the kind has none
}

// String is the name that [ParseMethod] and [ParseFamily] read.
func (v Variant) String() string {
	if v.Rank == 0 {
		return v.Kind
	}
	return v.Kind + "-" + strconv.Itoa(v.Rank)
}

// variants lists the kinds by whether a rank belongs to their names.
type variants map[string]bool

// methods and families are the names that configurations may use.
var (
	methods = variants{"none": false, "sr": false, "sr-mixed": false, "sr-heads": false, "sr-lora": true, "meta-lora": true,
		"meta-lora-symmetric": true, "meta-last-layer": false, "reptile": false, "fomaml": true, "anil": false}
	families = variants{"lora": true, "last-layer": false, "full": false, "none": false}
)

// trainsFor is the kind of adaptation that a method's retraining has inside; methods without one are not in it.
var trainsFor = map[string]string{"meta-lora": "lora", "meta-lora-symmetric": "lora", "fomaml": "lora", "meta-last-layer": "last-layer", "anil": "last-layer"}

// ParseMethod reads the name of a retraining method: none, sr, sr-mixed, sr-heads, sr-lora-R, meta-lora-R,
// meta-lora-symmetric-R, meta-last-layer, reptile, fomaml-R, anil.
func ParseMethod(name string) (Variant, error) { return methods.parse("method", name) }

// ParseFamily reads the name of an adaptation family: lora-R, last-layer, full, none.
func ParseFamily(name string) (Variant, error) { return families.parse("family", name) }

func (vs variants) parse(what, name string) (Variant, error) {
	if ranked, ok := vs[name]; ok && !ranked {
		return Variant{Kind: name}, nil
	}
	kind, suffix := name, ""
	if i := strings.LastIndexByte(name, '-'); i >= 0 {
		kind, suffix = name[:i], name[i+1:]
	}
	if vs[name] {
		return Variant{}, fmt.Errorf("%s %q lacks its rank, as in %q", what, name, name+"-8")
	}
	if !vs[kind] {
		return Variant{}, fmt.Errorf("there is no %s %q%s", what, name, config.Suggest(name, vs.names()))
	}
	rank, err := strconv.Atoi(suffix)
	if err != nil || strconv.Itoa(rank) != suffix {
		return Variant{}, fmt.Errorf("%s %q: %q is no rank", what, name, suffix)
	}
	if rank < 1 {
		return Variant{}, fmt.Errorf("%s %q: a rank is 1 or more", what, name)
	}
	return Variant{kind, rank}, nil
}

// names lists the kinds as one may write them.
func (vs variants) names() []string {
	var names []string
	for kind, ranked := range vs {
		if ranked {
			kind += "-8"
		}
		names = append(names, kind)
	}
	slices.Sort(names)
	return names
}
