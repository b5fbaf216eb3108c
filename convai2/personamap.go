package convai2

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"metalora/pipeline/confined"
)

// Bounds of a persona map's file. The map of the whole train split has 0.6 MB and some 10,000 sentences.
const (
	MaxPersonaMap        = 16 << 20
	maxPersonaMapEntries = 400_000
)

// PersonaMap says which persona sentence sets are one persona: a list of clusters, each a list of sentence sets.
type PersonaMap struct {
	clusters [][][]string
}

// Clusters is the number of clusters in the map.
func (pm *PersonaMap) Clusters() int { return len(pm.clusters) }

// LoadPersonaMap reads a map from JSON, [[["sentence", …], …], …]. A set that stands in two clusters is an error, since
// the map then decides nothing; so are empty sets and sentences.
func LoadPersonaMap(path string) (*PersonaMap, error) {
	data, err := confined.Read(path, MaxPersonaMap)
	if err != nil {
		return nil, fmt.Errorf("reading persona map: %w", err)
	}
	pm, err := parsePersonaMap(data)
	if err != nil {
		return nil, fmt.Errorf("reading persona map %s: %w", path, err)
	}
	return pm, nil
}

// ReadPersonaMap is LoadPersonaMap on an open file; its errors do not name one.
func ReadPersonaMap(r io.Reader) (*PersonaMap, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxPersonaMap+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxPersonaMap {
		return nil, fmt.Errorf("larger than %d bytes", MaxPersonaMap)
	}
	return parsePersonaMap(data)
}

func parsePersonaMap(data []byte) (*PersonaMap, error) {
	pm := &PersonaMap{}
	if err := confined.CheckJSON(data, maxPersonaMapEntries); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &pm.clusters); err != nil {
		return nil, fmt.Errorf("byte %d: %w", jsonOffset(err), err)
	}
	if len(pm.clusters) == 0 {
		return nil, errors.New("no cluster in it")
	}
	return pm, pm.check()
}

func jsonOffset(err error) int64 {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return syntax.Offset
	case errors.As(err, &kind):
		return kind.Offset
	}
	return 0
}

func (pm *PersonaMap) check() error {
	owner := map[string]int{}
	for c, sets := range pm.clusters {
		if len(sets) == 0 {
			return fmt.Errorf("cluster %d has no sentence set", c)
		}
		for s, set := range sets {
			key, err := checkSet(set)
			if err != nil {
				return fmt.Errorf("cluster %d, set %d: %w", c, s, err)
			}
			if other, ok := owner[key]; ok && other != c {
				return fmt.Errorf("cluster %d, set %d: cluster %d has the same sentences", c, s, other)
			}
			owner[key] = c
		}
	}
	return nil
}

func checkSet(set []string) (key string, err error) {
	if len(set) == 0 {
		return "", errors.New("no sentence in it")
	}
	for i, s := range set {
		if strings.ContainsAny(s, "\t\r\n") || strings.TrimSpace(s) == "" {
			return "", fmt.Errorf("sentence %d is empty or has a tab or line break", i)
		}
	}
	return setKey(sentenceSet(set, Normalise)), nil
}

// NewPersonaMap makes the map in which dialogues with equal sets of persona sentences are one cluster, in order of first
// appearance. Final full stops are left out, as in the published maps.
func NewPersonaMap(ds []*Dialogue) (*PersonaMap, error) {
	pm, seen := &PersonaMap{}, map[string]bool{}
	for _, d := range ds {
		set := sentenceSet(d.Persona, Normalise)
		if len(set) == 0 || seen[setKey(set)] {
			continue
		}
		seen[setKey(set)] = true
		pm.clusters = append(pm.clusters, [][]string{sentenceSet(d.Persona, withoutStop)})
	}
	if len(pm.clusters) == 0 {
		return nil, errors.New("making a persona map: no dialogue has persona sentences")
	}
	return pm, nil
}

func withoutStop(sentence string) string { return strings.TrimSpace(strings.TrimSuffix(sentence, ".")) }

// WriteTo writes the map as JSON, a cluster a line.
func (pm *PersonaMap) WriteTo(w io.Writer) (int64, error) {
	lines := make([]string, len(pm.clusters))
	for i, sets := range pm.clusters {
		data, err := json.Marshal(sets)
		if err != nil {
			return 0, fmt.Errorf("writing persona map: %w", err)
		}
		lines[i] = string(data)
	}
	n, err := io.WriteString(w, "["+strings.Join(lines, ",\n ")+"]\n")
	if err != nil {
		return int64(n), fmt.Errorf("writing persona map: %w", err)
	}
	return int64(n), nil
}

// sets yields every set of the map with its cluster, sentences as spell gives them.
func (pm *PersonaMap) sets(spell func(string) string) (sets [][]string, clusters []int) {
	for c, cluster := range pm.clusters {
		for _, set := range cluster {
			sets = append(sets, sentenceSet(set, spell))
			clusters = append(clusters, c)
		}
	}
	return sets, slices.Clip(clusters)
}
