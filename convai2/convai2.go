// Package convai2 turns persona dialogues into ranking tasks.
//
// A file is a list of dialogues; a dialogue is one speaker's persona sentences and the turns spoken under them. Dialogues
// of one persona form a cluster, clusters are ranked by how much they hold, and a task is the cluster of one rank with
// its last dialogues held out. A sample is one turn of a task: all that was said so far, the candidate replies, and which
// of them is the real one:
//
//	Dialogues -> Clusters -> Tasks -> Samples
//
// The persona sentences serve to find the cluster and never become part of a sample: what a persona says has to be learned.
// The package knows no model and no tokens. All that is random (sampled candidates, the synthetic dialogues) comes from
// streams named by what it is for, so no result depends on the order of calls.
package convai2

// Silence stands for the partner's utterance where the persona speaks first. It is text like any other and stays in contexts.
const Silence = "__SILENCE__"

// Turn is what the partner said and what the persona replied.
type Turn struct {
	Partner, Self string
	Candidates    []string // replies to choose from, Self among them; nil where the file has none
	Line          int      // in the file, from 1
}

// Dialogue is one entry of a file: the turns of one conversation seen from one speaker's side.
type Dialogue struct {
	Index          int      // position in the file, from 0
	Line           int      // of its first line, from 1
	File           string   // what its errors call the file
	Persona        []string // the sentences after "your persona:", trimmed
	PartnerPersona []string // the sentences after "partner's persona:"; nil in "self" files
	Turns          []Turn
}
