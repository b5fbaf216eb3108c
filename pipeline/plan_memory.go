package pipeline

import (
	"fmt"
	"os"

	"metalora/convai2"
	"metalora/models"
	"metalora/onnx/ort"
	"metalora/pipeline/train"
)

const (
	// sampleDialogues is how many dialogues of a file are looked at for the sizes of turns.
	sampleDialogues = 300
	// bytesPerToken of chat: the published vocabularies have 4.0 to 4.4 on ConvAI2. A small one has shorter tokens.
	bytesPerToken, bytesPerSmallToken = 4.2, 2.5
	smallVocabulary                   = 5000
	// tokenBytes is what a token takes: id, mask and segment, 8 bytes each.
	tokenBytes = 24
)

// talk is what is known of a file's turns before anything is tokenized.
type talk struct {
	candidates int     // of a turn, at most
	longest    int     // tokens of a pair, at most
	mean       float64 // tokens of a pair
	turns      float64 // of a dialogue
	bytes      int64   // of the dialogues in memory
}

// sample looks at the first dialogues of the file of a set of tasks.
func (c *Config) sample(set TaskSet) (talk, error) {
	s := sampler{perToken: bytesPerToken, distractors: c.Data.Distractors}
	if c.Model.Tokenizer == "" || c.Synthetic != nil && c.Synthetic.Vocabulary < smallVocabulary {
		s.perToken = bytesPerSmallToken
	}
	if c.Synthetic != nil {
		m := &material{config: c}
		if _, err := m.generate(); err != nil {
			return talk{}, err
		}
		for _, d := range m.dialogues[set.File] {
			s.add(d)
		}
		return s.talk(0), nil
	}
	path, _ := c.File(set.File)
	file, err := os.Open(path)
	if err != nil {
		return talk{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return talk{}, err
	}
	for d, err := range convai2.Dialogues(file, path) {
		if err != nil {
			return talk{}, err
		}
		if s.add(d); s.dialogues == sampleDialogues {
			break
		}
	}
	return s.talk(info.Size()), nil
}

// sampler adds dialogues up.
type sampler struct {
	perToken                float64
	distractors             int // that a turn without candidates gets
	candidates, longest     int
	dialogues, turns, pairs int
	bytes                   int
}

// add counts a dialogue's pairs: the context grows by each utterance.
func (s *sampler) add(d *convai2.Dialogue) {
	context := 0
	s.dialogues++
	for _, t := range d.Turns {
		context += len(t.Partner)
		s.turns++
		candidates, rows := t.Candidates, len(t.Candidates)
		if rows == 0 {
			candidates, rows = []string{t.Self}, 1+s.distractors
		}
		s.candidates = max(s.candidates, rows)
		for _, candidate := range candidates {
			s.longest = max(s.longest, context+len(candidate))
			s.bytes += context + len(candidate)
			s.pairs++
		}
		context += len(t.Self)
	}
}

// special are the tokens that frame a pair.
const special = 4

func (s *sampler) talk(bytes int64) talk {
	if s.pairs == 0 {
		return talk{}
	}
	return talk{candidates: s.candidates, longest: int(float64(s.longest)/s.perToken) + special,
		mean: float64(s.bytes)/float64(s.pairs)/s.perToken + special, turns: float64(s.turns) / float64(s.dialogues), bytes: 2 * bytes}
}

// shape is the size of the largest turn, within what the configuration and the model allow.
func (k talk) shape(c *Config, a models.Architecture, candidates int) train.Shape {
	rows := k.candidates
	if candidates > 0 {
		rows = min(rows, candidates)
	}
	return train.Shape{Rows: rows, Length: min(k.longest, maxTokens(c, a))}
}

// personaDialogues is how many dialogues a cluster of the first ranks has: 8 to 25 in the official files.
const personaDialogues = 14

// tokens are those of tasks, padded, with the configured bounds on turns.
func (k talk) tokens(c *Config, tasks, turns int) int64 {
	of := personaDialogues * k.turns
	if s := c.Synthetic; s != nil {
		of = float64(s.Dialogues) * k.turns
	}
	if turns > 0 {
		of = min(of, float64(turns)+2*k.turns)
	}
	padding := 1.2 // pairs of a turn are of unlike length
	return int64(float64(tasks) * of * float64(k.candidates) * k.mean * padding)
}

// footprint is what a unit will take, as far as configuration and the start of the data tell.
func (c *Config) footprint(u *Unit, a models.Architecture, talks map[string]talk) (footprint, error) {
	f := footprint{spec: train.Spec{Architecture: a, Dropout: c.dropout()}, owners: 1, kept: u.Kind == KindRetrain}
	set, turns, name, lora := c.Tasks.Test, c.Data.Turns.Test, u.Family, c.Adapt.LoRA
	parse, methods, tasks := ParseFamily, familiesByKind, 1
	if u.Kind == KindRetrain {
		set, turns, name, lora = c.Tasks.Retrain, c.Data.Turns.Retrain, u.Method, c.Retrain.LoRA
		parse, methods, tasks = ParseMethod, methodsByKind, len(c.Tasks.Retrain.Ranks)
	}
	for _, k := range talks {
		f.data += k.bytes
	}
	k := talks[set.File]
	f.trained = []train.Shape{k.shape(c, a, c.Data.Candidates.Train)}
	f.scored = []train.Shape{k.shape(c, a, c.Data.Candidates.Evaluate)}
	f.data += tokenBytes * k.tokens(c, tasks, turns)
	if name == "none" {
		f.kept = false
		return f, nil
	}
	v, err := parse(name)
	if err != nil {
		return f, err
	}
	f.method, f.owners = methods[v.Kind], tasks
	f.spec.Trains, f.spare = f.method.Trains, u.Family == "full"
	if f.method.Moves().Has(train.Adapter) {
		l := lora.lora(v.Rank)
		l.Symmetric = v.Kind == "meta-lora-symmetric"
		f.spec.LoRADropout = l.Dropout
		f.spec.Sites, err = sites(a, l)
	}
	return f, err
}

// memory estimates units' peaks, one for all that differ in seed, task or fold alone; 0 where it cannot be told, because
// the model or the data is not there to look at, or a GPU bears it.
func (e *Experiment) memory() func(*Unit) int64 {
	c, known := e.Config, map[string]int64{}
	a, err := c.architecture()
	talks := map[string]talk{}
	for _, set := range []TaskSet{c.Tasks.Retrain, c.Tasks.Test} {
		k, failed := c.sample(set)
		if talks[set.File] = k; failed != nil {
			err = failed
		}
	}
	return func(u *Unit) int64 {
		if c.Device == ort.CUDA {
			return 0
		}
		key := fmt.Sprint(u.Kind, " ", u.Family)
		if u.Kind == KindRetrain {
			key = fmt.Sprint(u.Kind, " ", u.Method)
		}
		bytes, seen := known[key]
		if seen || err != nil {
			return bytes
		}
		f, failed := c.footprint(u, a, talks)
		if failed == nil {
			bytes, failed = f.bytes()
		}
		if failed != nil {
			bytes = 0
		}
		known[key] = bytes
		return bytes
	}
}
