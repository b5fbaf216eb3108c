package convai2

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Rules are the rules of ranking and holding out.
type Rules string

const (
	// Clean ranks clusters by all their samples and holds out the last dialogues in file order.
	Clean Rules = "clean"
	// Published ranks by the samples left for training and holds out the last dialogues of an order in which a
	// cluster's dialogues stand grouped by literal persona, as the published code has it (docs/published-code.md).
	Published Rules = "published"
)

// Check says whether the name is one of the two; "" is not.
func (r Rules) Check() error {
	if r != Clean && r != Published {
		return fmt.Errorf("rules %q, want %s or %s", string(r), Clean, Published)
	}
	return nil
}

// Cluster is one persona's dialogues, in the order that decides which are held out.
type Cluster struct {
	Cluster   int   `json:"cluster"`   // index in the persona map, from 0; without a map in order of first appearance
	Dialogues []int `json:"dialogues"` // indices in the file, from 0
	Samples   int   `json:"samples"`   // turns of them all
	Rank      int   `json:"rank"`      // from 1
}

// Clustering is a file's dialogues sorted into personas.
type Clustering struct {
	Ranked      []Cluster // clusters of two or more dialogues, largest first
	Unmatched   []int     // dialogues without a cluster, in file order, the ambiguous included
	Ambiguous   []int     // of those, the ones whose sentences stand in sets of several clusters
	Single      []int     // clusters dropped for having one dialogue, ascending
	Untrainable []int     // ranked clusters of heldOut dialogues or fewer: nothing is left to train on. They keep their rank
	Rules       Rules
	HeldOut     int
}

// Clusters sorts dialogues into personas and ranks them. pm nil: dialogues with equal sets of persona sentences
// are one cluster, and a dialogue without persona sentences has none. heldOut is the number of dialogues that
// each task holds out: Published ranks by what it leaves.
func Clusters(ds []*Dialogue, pm *PersonaMap, r Rules, m Match, heldOut int) (*Clustering, error) {
	find, err := m.matcher(pm)
	if err == nil {
		err = r.Check()
	}
	if err == nil && heldOut < 0 {
		err = errors.New("dialogues held out: fewer than 0")
	}
	if err != nil {
		return nil, fmt.Errorf("clustering dialogues: %w", err)
	}
	c := &Clustering{Rules: r, HeldOut: heldOut}
	members := c.sort(ds, find)
	for _, id := range sortedKeys(members) {
		dialogues := members[id]
		if len(dialogues) < 2 {
			c.Single = append(c.Single, id)
			continue
		}
		if r == Published {
			dialogues = groupedByPersona(ds, dialogues)
		}
		c.Ranked = append(c.Ranked, Cluster{Cluster: id, Dialogues: dialogues, Samples: turns(ds, dialogues)})
	}
	c.rank(ds)
	return c, nil
}

// sort gives every dialogue its cluster: positions in ds by cluster.
func (c *Clustering) sort(ds []*Dialogue, find matcher) map[int][]int {
	members := map[int][]int{}
	for i, d := range ds {
		id := find(d)
		if id >= 0 {
			members[id] = append(members[id], i)
			continue
		}
		c.Unmatched = append(c.Unmatched, i)
		if id == ambiguous {
			c.Ambiguous = append(c.Ambiguous, i)
		}
	}
	return members
}

// rank orders the clusters, most samples first and then lower index, and numbers them.
func (c *Clustering) rank(ds []*Dialogue) {
	size := func(k Cluster) int {
		if c.Rules == Published {
			return turns(ds, k.Dialogues[:max(0, len(k.Dialogues)-c.HeldOut)])
		}
		return k.Samples
	}
	slices.SortFunc(c.Ranked, func(a, b Cluster) int {
		return cmp.Or(cmp.Compare(size(b), size(a)), cmp.Compare(a.Cluster, b.Cluster))
	})
	for i := range c.Ranked {
		c.Ranked[i].Rank = i + 1
		if len(c.Ranked[i].Dialogues) <= c.HeldOut {
			c.Untrainable = append(c.Untrainable, c.Ranked[i].Cluster)
		}
	}
}

// groupedByPersona reorders dialogues so that those of one literal sentence set stand together, the groups in order of
// first appearance.
func groupedByPersona(ds []*Dialogue, members []int) []int {
	first, keys := map[string]int{}, make(map[int]int, len(members))
	for _, i := range members {
		sentences := slices.Clone(ds[i].Persona)
		slices.Sort(sentences)
		key := setKey(sentences)
		if _, ok := first[key]; !ok {
			first[key] = i
		}
		keys[i] = first[key]
	}
	grouped := slices.Clone(members)
	slices.SortStableFunc(grouped, func(a, b int) int { return cmp.Compare(keys[a], keys[b]) })
	return grouped
}

func turns(ds []*Dialogue, indices []int) int {
	n := 0
	for _, i := range indices {
		n += len(ds[i].Turns)
	}
	return n
}

func sortedKeys(m map[int][]int) []int {
	keys := make([]int, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
