package convai2

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
)

type referenceTask struct {
	Cluster         int   `json:"cluster"`
	Training        []int `json:"training_dialogues"`
	HeldOut         []int `json:"held_out_dialogues"`
	TrainingSamples int   `json:"training_samples"`
	HeldOutSamples  int   `json:"held_out_samples"`
}

type referenceCluster struct {
	Cluster   int   `json:"cluster"`
	Dialogues int   `json:"dialogues"`
	Samples   int   `json:"samples"`
	Indices   []int `json:"dialogue_indices"`
}

type referenceSplit struct {
	Dialogues        int                `json:"dialogues"`
	Samples          int                `json:"samples"`
	HeldOut          int                `json:"held_out_per_task"`
	Unmatched        []int              `json:"unmatched_dialogues"`
	Single           []int              `json:"clusters_of_one_dialogue"`
	Clusters         []referenceCluster `json:"clusters"`
	Ranking          []int              `json:"ranking"`
	Top10            []referenceTask    `json:"top10"`
	ReferenceRanking []int              `json:"reference_ranking"`
	ReferenceTop10   []referenceTask    `json:"reference_top10"`
}

func readReference(t *testing.T) map[string]referenceSplit {
	t.Helper()
	data, err := os.ReadFile("testdata/reference_tasks.json")
	if err != nil {
		t.Fatal(err)
	}
	var splits map[string]referenceSplit
	if err := json.Unmarshal(data, &splits); err != nil {
		t.Fatal(err)
	}
	return splits
}

// TestReferenceTasks compares every field of tasks.json: for the validation file also in a checkout without the data.
func TestReferenceTasks(t *testing.T) {
	for _, c := range []struct {
		name, split string
		load        func(t *testing.T) ([]*Dialogue, *PersonaMap)
	}{
		{"skeleton", "valid", func(t *testing.T) ([]*Dialogue, *PersonaMap) {
			return readPacked(t, "valid_skeleton.txt.gz"), packedMap(t)
		}},
		{"valid", "valid", func(t *testing.T) ([]*Dialogue, *PersonaMap) {
			return readShared(t, "valid_self_original.txt"), sharedMap(t, "valid_persona_map.json")
		}},
		{"train part", "train", func(t *testing.T) ([]*Dialogue, *PersonaMap) {
			return readShared(t, "train_part_self_original_no_cands.txt"), sharedMap(t, "train_persona_map.json")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ds, pm := c.load(t)
			want := readReference(t)[c.split]
			all := 0
			for _, d := range ds {
				all += len(d.Turns)
			}
			equal(t, []int{len(ds), all}, []int{want.Dialogues, want.Samples})
			t.Run("clean", func(t *testing.T) { compareClean(t, ds, pm, want) })
			t.Run("published", func(t *testing.T) {
				k := clusters(t, ds, pm, Published, MatchExpand, want.HeldOut)
				equal(t, ranking(k), want.ReferenceRanking)
				equal(t, top10(t, ds, k, want.HeldOut), want.ReferenceTop10)
			})
		})
	}
}

func compareClean(t *testing.T, ds []*Dialogue, pm *PersonaMap, want referenceSplit) {
	k := clusters(t, ds, pm, Clean, MatchExpand, want.HeldOut)
	equal(t, append([]int{}, k.Unmatched...), want.Unmatched)
	equal(t, k.Single, want.Single)
	equal(t, ranking(k), want.Ranking)
	equal(t, top10(t, ds, k, want.HeldOut), want.Top10)
	var got, ranked []referenceCluster
	for _, c := range k.Ranked {
		got = append(got, referenceCluster{c.Cluster, len(c.Dialogues), c.Samples, c.Dialogues})
		if c.Rank != len(got) {
			t.Errorf("cluster %d: rank %d, want %d", c.Cluster, c.Rank, len(got))
		}
	}
	slices.SortFunc(got, func(a, b referenceCluster) int { return a.Cluster - b.Cluster })
	for _, c := range want.Clusters {
		if c.Dialogues > 1 {
			ranked = append(ranked, c)
		}
	}
	equal(t, got, ranked)
}

func clusters(t *testing.T, ds []*Dialogue, pm *PersonaMap, r Rules, m Match, heldOut int) *Clustering {
	t.Helper()
	k, err := Clusters(ds, pm, r, m, heldOut)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func ranking(k *Clustering) []int {
	var ids []int
	for _, c := range k.Ranked {
		ids = append(ids, c.Cluster)
	}
	return ids
}

func top10(t *testing.T, ds []*Dialogue, k *Clustering, heldOut int) []referenceTask {
	t.Helper()
	tasks, err := makeTasks(ds, k, TaskOptions{Name: "t", Ranks: upTo(10), HeldOut: heldOut})
	if err != nil {
		t.Fatal(err)
	}
	var all []referenceTask
	for _, task := range tasks {
		all = append(all, referenceTask{task.Cluster, task.TrainDialogues, task.HeldOutDialogues, len(task.Train), len(task.HeldOut)})
	}
	return all
}

func upTo(n int) []int {
	ranks := make([]int, n)
	for i := range ranks {
		ranks[i] = i + 1
	}
	return ranks
}

// TestMatchCounts pins what the three ways of matching leave over. 622 and 611 stand in reference/README.md; 73 and 7
// are what this code counts.
func TestMatchCounts(t *testing.T) {
	valid, validMap := readPacked(t, "valid_skeleton.txt.gz"), packedMap(t)
	for m, want := range map[Match]int{MatchExpand: 0, MatchSubset: 0, MatchLiteral: 622} {
		equal(t, len(clusters(t, valid, validMap, Clean, m, 2).Unmatched), want)
	}
	train, trainMap := readShared(t, "train_part_self_original_no_cands.txt"), sharedMap(t, "train_persona_map.json")
	for m, want := range map[Match][2]int{MatchExpand: {611, 0}, MatchSubset: {73, 7}} {
		k := clusters(t, train, trainMap, Clean, m, 3)
		equal(t, [2]int{len(k.Unmatched), len(k.Ambiguous)}, want)
	}
}

const made = `1 your persona: i'm tall.
2 your persona: I ski.
3 your persona: i can't cook.
4 a	1
5 b	2
1 your persona: i cannot cook.
2 your persona: i am tall.
3 your persona: i ski.
4 a	3
1 your persona: i am tall.
2 your persona: i ski.
3 your persona: i cannot cook.
4 your persona: i read.
5 a	4
1 your persona: alone.
2 a	5
1 a	6
1 your persona: i'm tall.
2 your persona: I ski.
3 your persona: i can't cook.
4 c	7
`

func TestClustersWithoutMap(t *testing.T) {
	k := clusters(t, parse(t, made), nil, Clean, MatchExpand, 1)
	equal(t, k, &Clustering{Ranked: []Cluster{{0, []int{0, 1, 5}, 4, 1}}, Unmatched: []int{4}, Single: []int{1, 2}, Rules: Clean, HeldOut: 1})
	k = clusters(t, parse(t, made), nil, Published, MatchExpand, 1)
	equal(t, k.Ranked, []Cluster{{0, []int{0, 5, 1}, 4, 1}})
	k = clusters(t, parse(t, made), nil, Clean, MatchLiteral, 2)
	equal(t, k.Ranked, []Cluster{{0, []int{0, 5}, 3, 1}})
	equal(t, k.Untrainable, []int{0})
}

func TestSubset(t *testing.T) {
	pm := &PersonaMap{[][][]string{
		{{"i am tall", "i ski", "i cannot cook", "i read", "i run"}, {"i am tall", "i ski", "i cannot cook", "i read"}},
		{{"i am tall", "i ski", "alone", "i run"}, {"x", "y", "z", "u"}},
		{{"x", "y", "z", "v"}},
	}}
	for _, c := range []struct {
		name    string
		persona []string
		want    int
	}{
		{"whole set", []string{"I'm tall.", "i ski", "alone", "i run"}, 1},
		{"part of two sets of one cluster", []string{"i ski.", "i am tall.", "i can't cook."}, 0},
		{"part of sets of two clusters", []string{"x", "y", "z"}, ambiguous},
		{"too few", []string{"i ski", "alone"}, unmatched},
		{"not a part", []string{"i ski", "alone", "i am tall", "i cook"}, unmatched},
		{"unknown first", []string{"a", "i ski", "alone"}, unmatched},
		{"none", nil, unmatched},
	} {
		t.Run(c.name, func(t *testing.T) { equal(t, bySubset(pm)(&Dialogue{Persona: c.persona}), c.want) })
	}
}

func TestClustersErrors(t *testing.T) {
	ds := parse(t, made)
	for _, c := range []struct {
		name    string
		rules   Rules
		match   Match
		heldOut int
		want    string
	}{
		{"rules", "tidy", MatchExpand, 1, `clustering dialogues: rules "tidy", want clean or published`},
		{"match", Clean, "fuzzy", 1, `clustering dialogues: match "fuzzy", want expand, literal or subset`},
		{"subset of nothing", Clean, MatchSubset, 1, "clustering dialogues: match subset needs a persona map"},
		{"negative", Clean, MatchExpand, -1, "clustering dialogues: dialogues held out: fewer than 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Clusters(ds, nil, c.rules, c.match, c.heldOut)
			wantError(t, err, c.want)
		})
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Errorf("got error %v\nwant %s", err, want)
	}
}
