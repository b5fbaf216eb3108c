// Package batch hands the units of an experiment to engines that run jobs on many machines: Slurm and Kubernetes.
//
// The run's folder is the truth and an engine only starts processes: what is missing is sent, each unit by its position in the
// plan (`metalora unit`), and a unit that is done, or that another process works on, does no harm when it is started again.
package batch

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"metalora/pipeline"
	"metalora/pipeline/fault"
)

// Group is a set of units that are of one kind and wait for the same others.
type Group struct {
	Kind  pipeline.Kind
	Units []int // positions in the plan, ascending
	Needs []int // positions of the units that are not done and that have to be before; they are in earlier groups
}

// Groups sorts the units that are not done.
func Groups(pending []*pipeline.Unit) []Group {
	position := map[string]int{}
	for _, u := range pending {
		position[u.ID] = u.Index
	}
	var groups []Group
	at := map[string]int{} // by kind and needs
	for _, u := range pending {
		var needs []int
		for _, id := range u.Needs {
			if i, ok := position[id]; ok {
				needs = append(needs, i)
			}
		}
		key := fmt.Sprint(u.Kind, needs)
		i, ok := at[key]
		if !ok {
			i, at[key] = len(groups), len(groups)
			groups = append(groups, Group{Kind: u.Kind, Needs: needs})
		}
		groups[i].Units = append(groups[i].Units, u.Index)
	}
	return groups
}

// Ranges writes ascending positions as "0-3,7".
func Ranges(positions []int) string {
	var parts []string
	for i := 0; i < len(positions); {
		j := i
		for j+1 < len(positions) && positions[j+1] == positions[j]+1 {
			j++
		}
		if i == j {
			parts = append(parts, fmt.Sprint(positions[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", positions[i], positions[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ",")
}

// ParseRanges reads what [Ranges] writes.
func ParseRanges(text string) ([]int, error) {
	var positions []int
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if err := errors.Join(err, err2); err != nil || first < 0 || last < first || last-first > 1<<20 {
			return nil, fault.Usage(fmt.Errorf("%q in %q is no position and no range that goes upwards: 0-3,7", part, text))
		}
		for i := first; i <= last; i++ {
			positions = append(positions, i)
		}
	}
	return positions, nil
}

// Frozen is an experiment's configuration with every value, and a file name that its content decides. Jobs read a copy that
// nobody edits, since positions in a plan mean nothing under another configuration.
func Frozen(e *pipeline.Experiment) (name string, data []byte, err error) {
	var out bytes.Buffer
	if err := e.Config.Write(&out); err != nil {
		return "", nil, err
	}
	sum := sha256.Sum256(out.Bytes())
	return "experiment-" + hex.EncodeToString(sum[:6]) + ".yaml", out.Bytes(), nil
}

var outside = regexp.MustCompile(`[^a-z0-9]+`)

// Name is what an engine calls the jobs of a run: the experiment's name, in the letters that every engine takes, and a few
// digits of the folder's place, by which runs of one name are told apart.
func Name(e *pipeline.Experiment) (string, error) {
	place, err := filepath.Abs(e.Dir)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(place))
	name := strings.Trim(outside.ReplaceAllString(strings.ToLower(e.Config.Name), "-"), "-")
	name = strings.Trim(name[:min(len(name), 30)], "-")
	return strings.Join(slices.DeleteFunc([]string{"metalora", name, hex.EncodeToString(sum[:3])}, func(s string) bool { return s == "" }), "-"), nil
}
