package convai2

import (
	"fmt"
	"slices"
)

// Match says when a dialogue's persona sentences are those of a set in the map.
type Match string

const (
	// MatchExpand compares sets of normalised sentences.
	MatchExpand Match = "expand"
	// MatchLiteral compares sets of sentences letter by letter, spelled as the published code reads them.
	MatchLiteral Match = "literal"
	// MatchSubset is MatchExpand, and beyond it a dialogue of at least MinSubset sentences that all stand in sets of one
	// cluster's set. Where sets of several clusters hold them all it stays unmatched and is reported as ambiguous.
	MatchSubset Match = "subset"
)

// MinSubset is the least number of sentences that identify a persona by a part of it. The personas of ConvAI2 have 4 or 5,
// and pairs of sentences recur among them ("i have two dogs", "i like to read").
const MinSubset = 3

// Check says whether the name is one of the three; "" is not.
func (m Match) Check() error {
	if m != MatchExpand && m != MatchLiteral && m != MatchSubset {
		return fmt.Errorf("match %q, want %s, %s or %s", string(m), MatchExpand, MatchLiteral, MatchSubset)
	}
	return nil
}

// Results of looking a dialogue up other than a cluster.
const (
	unmatched = -1
	ambiguous = -2
)

// matcher finds the cluster of a dialogue: its index in the map, unmatched, or ambiguous.
type matcher func(d *Dialogue) int

// matcher builds the look-up for a map; nil: equal sets of sentences, numbered as they appear.
func (m Match) matcher(pm *PersonaMap) (matcher, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	switch {
	case pm == nil && m == MatchSubset:
		return nil, fmt.Errorf("match %s needs a persona map", m)
	case pm == nil && m == MatchLiteral:
		return byEquality(literal), nil
	case pm == nil:
		return byEquality(Normalise), nil
	case m == MatchLiteral:
		return byKey(pm, func(s string) string { return s }, literal), nil
	case m == MatchSubset:
		return bySubset(pm), nil
	}
	return byKey(pm, Normalise, Normalise), nil
}

func byEquality(spell func(string) string) matcher {
	clusters := map[string]int{}
	return func(d *Dialogue) int {
		if len(d.Persona) == 0 {
			return unmatched
		}
		key := setKey(sentenceSet(d.Persona, spell))
		c, ok := clusters[key]
		if !ok {
			c = len(clusters)
			clusters[key] = c
		}
		return c
	}
}

// byKey compares whole sets; ofMap and ofFile spell the sentences on either side.
func byKey(pm *PersonaMap, ofMap, ofFile func(string) string) matcher {
	index := map[string]int{}
	sets, clusters := pm.sets(ofMap)
	for i, set := range sets {
		index[setKey(set)] = clusters[i]
	}
	return func(d *Dialogue) int {
		if c, ok := index[setKey(sentenceSet(d.Persona, ofFile))]; ok {
			return c
		}
		return unmatched
	}
}

func bySubset(pm *PersonaMap) matcher {
	whole := byKey(pm, Normalise, Normalise)
	sets, clusters := pm.sets(Normalise)
	holders := map[string][]int{} // sentence -> sets that hold it
	for i, set := range sets {
		for _, s := range set {
			holders[s] = append(holders[s], i)
		}
	}
	return func(d *Dialogue) int {
		if c := whole(d); c >= 0 {
			return c
		}
		part := sentenceSet(d.Persona, Normalise)
		if len(part) < MinSubset {
			return unmatched
		}
		common := slices.Clone(holders[part[0]])
		for _, s := range part[1:] {
			common = slices.DeleteFunc(common, func(i int) bool { return !slices.Contains(sets[i], s) })
		}
		return onlyCluster(common, clusters)
	}
}

// onlyCluster is the cluster that all those sets belong to.
func onlyCluster(sets, clusters []int) int {
	found := unmatched
	for _, i := range sets {
		if found != unmatched && found != clusters[i] {
			return ambiguous
		}
		found = clusters[i]
	}
	return found
}
