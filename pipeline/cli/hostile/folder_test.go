//go:build unix

package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"metalora/models/safetensors"
	"metalora/pipeline"
)

// forged are the settings of the run that strangers lie about: small, and with all that a run's folder may hold.
const forged = `name: forged
synthetic: {personas: {retrain: 2, test: 2}, dialogues: 3, turns: 3, candidates: 4, vocabulary: 300}
model: {init: {hidden: 8, layers: 1, heads: 2}}
seeds: [0]
threads: 1
tasks: {retrain: {ranks: 1-2, held_out: 1}, test: {ranks: 1, held_out: 1}}
retrain: {methods: [sr, none], epochs: 2, batch: 2}
adapt: {families: [lora-2, none], epochs: 2, batch: 2}
checkpoint: {steps: 1}
`

// Labels of units of that run, and how many steps the first takes until it is stopped, in its second epoch.
const (
	retrained = "retrain sr seed 0"
	adapted   = "adapt sr → lora-2 task 1 seed 0"
	unadapted = "adapt sr → none task 1 seed 0"
	stopAfter = 8
)

// run is a run's folder, which somebody changes.
type run struct {
	t      *testing.T
	dir    string
	config string
	ids    map[string]string // of units, by their labels
}

// unit is a file of a finished unit; checkpoint is one of the newest checkpoint of the unit that was stopped.
func (r run) unit(label, file string) string {
	return filepath.Join(r.dir, "units", r.ids[label], file)
}

func (r run) work(file string) string { return filepath.Join(r.dir, "work", r.ids[retrained], file) }

func (r run) checkpoint(file string) string {
	return r.work(filepath.Join("checkpoints", fmt.Sprintf("step-%08d-epochs-00001", stopAfter), file))
}

// fails ends a test at an error of its own.
func (r run) fails(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// write puts text into a file.
func (r run) write(path, text string) {
	r.t.Helper()
	r.fails(os.WriteFile(path, []byte(text), 0o666))
}

// json changes the value at a place in a JSON file: keys and positions with dots between. A nil goes.
func (r run) json(path, place string, value any) {
	r.t.Helper()
	data, err := os.ReadFile(path)
	r.fails(err)
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var all any
	r.fails(decoder.Decode(&all))
	put(&all, places(place), value)
	data, err = json.MarshalIndent(all, "", " ")
	r.fails(err)
	r.write(path, string(data))
}

func put(at *any, place []string, value any) {
	if len(place) == 0 {
		*at = value
		return
	}
	switch x := (*at).(type) {
	case map[string]any:
		inner := x[place[0]]
		put(&inner, place[1:], value)
		x[place[0]] = inner
		if inner == nil {
			delete(x, place[0])
		}
	case []any:
		var i int
		if _, err := fmt.Sscan(place[0], &i); err != nil {
			panic(err)
		}
		put(&x[i], place[1:], value)
	default:
		panic(fmt.Sprint("nothing at ", place))
	}
}

// tensors changes those of a file.
func (r run) tensors(path string, change func(all safetensors.Tensors)) {
	r.t.Helper()
	all, err := safetensors.Load(path)
	r.fails(err)
	change(all)
	r.fails(safetensors.Save(path, all, nil))
}

// seal gives a folder a manifest that is right for the files in it, as anybody can. Of a file above 1 GiB it states no sum.
func (r run) seal(dir string) {
	r.t.Helper()
	var m manifest
	path := filepath.Join(dir, "manifest.json")
	data, err := os.ReadFile(path)
	r.fails(err)
	r.fails(json.Unmarshal(data, &m))
	m.Files = map[string]mark{}
	r.fails(filepath.WalkDir(dir, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || at == path {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, at)
		if info.Size() > 1<<30 {
			m.Files[filepath.ToSlash(name)] = mark{info.Size(), unknownSum}
			return nil
		}
		data, err := os.ReadFile(at)
		sum := sha256.Sum256(data)
		m.Files[filepath.ToSlash(name)] = mark{info.Size(), hex.EncodeToString(sum[:])}
		return err
	}))
	r.write(path, string(m.sealed()))
}

// lie is a change of a run's folder. What it touches is sealed again.
type lie struct {
	name string
	made func(r run)
	code int               // with which it is refused; 0: 3
	want map[string]string // by verb, parts of the message with which it is refused; a verb that is not named ends in order
}

// stopper ends a run after so many steps.
type stopper struct {
	pipeline.Quiet
	after int
	stop  func()
}

func (s *stopper) Step(float64, int) {
	if s.after--; s.after == 0 {
		s.stop()
	}
}

// makeRun makes a run's folder as the program makes it, stopped after so many steps; 0: it goes to its end.
func makeRun(t *testing.T, after int) run {
	t.Helper()
	r := run{t: t, dir: filepath.Join(t.TempDir(), "run"), config: filepath.Join(t.TempDir(), "forged.yaml"), ids: map[string]string{}}
	r.write(r.config, forged)
	c, err := pipeline.Load(r.config, nil)
	r.fails(err)
	e, err := pipeline.Open(c, r.dir)
	r.fails(err)
	ex, err := pipeline.NewExecutor(c)
	r.fails(err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := e.Run(ctx, ex, nil, &stopper{after: after, stop: cancel}); err != nil && after == 0 {
		t.Fatal(err)
	}
	for _, u := range e.Units {
		r.ids[u.Label] = u.ID
	}
	return r
}

// copied is a copy of the folder that a test may change.
func (r run) copied(t *testing.T) run {
	t.Helper()
	from := r.dir
	r.t, r.dir = t, filepath.Join(t.TempDir(), "run")
	r.fails(os.CopyFS(r.dir, os.DirFS(from)))
	return r
}

// verbs are the commands that read a run's folder.
func (r run) verbs() map[string][]string {
	all := map[string][]string{"verify": {"verify", r.dir}}
	for _, verb := range []string{"report", "status", "run"} {
		all[verb] = []string{verb, r.config, "--out", r.dir}
	}
	talk, model := filepath.Join(r.t.TempDir(), "talk.txt"), r.unit(retrained, "model")
	r.write(talk, strings.Repeat("1 your persona: i like tea.\n2 hello\tme too\t\tyou|me too\n", 3))
	all["predict"] = []string{"predict", "--model", model, "--adapter", r.unit(adapted, "adapter"), talk}
	all["evaluate"] = []string{"evaluate", "--model", model, "--adapters", r.unit(adapted, "adapter"), "--data", talk}
	all["tune"] = []string{"tune", "--model", model, "--data", talk, "--adapter-out", filepath.Join(r.dir, "new"), "--set", "adapt.epochs=1"}
	return all
}

// says tells whether a text has all parts of what is wanted, which bars part.
func says(text, want string) bool {
	for part := range strings.SplitSeq(want, "|") {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// excess is the most that lies cost.
type excess struct {
	sync.Mutex
	commands int
	used     time.Duration
	bytes    int64
}

func (e *excess) add(c, usual course) {
	e.Lock()
	defer e.Unlock()
	e.commands, e.used, e.bytes = e.commands+1, max(e.used, c.used-usual.used), max(e.bytes, c.peak-usual.peak)
}

// tried holds all verbs against what they are to do in a folder with a lie. usual is what they took in the folder without it.
func (l lie) tried(t *testing.T, from run, usual map[string]course, worst *excess) {
	for _, verb := range slices.Sorted(maps.Keys(usual)) {
		was := usual[verb]
		c := quickest(was.used+mostTime, func() course {
			r := from.copied(t)
			l.made(r)
			return command(t, r.verbs()[verb]...)
		})
		worst.add(c, was)
		want, refused := l.want[verb]
		if code := map[bool]int{true: cmp.Or(l.code, 3)}[refused]; c.code != code || !says(c.text, want) || strings.Contains(c.text, "panic") {
			t.Errorf("%s ended with %d, want %d, and says %.1000q, want %q", verb, c.code, code, c.text, want)
		}
		if strings.ContainsAny(c.text, "\x1b\x07\u009b\u202e") {
			t.Errorf("%s lets through what commands a terminal: %.1000q", verb, c.text)
		}
		if c.used > was.used+mostTime || c.peak > was.peak+mostBytes {
			t.Errorf("%s took %v and %d MiB, and in order %v and %d MiB", verb, c.used, c.peak>>20, was.used, was.peak>>20)
		}
	}
}

// places parts a place; a tilde in it stands for a slash in a key.
func places(place string) []string {
	parts := strings.Split(place, "/")
	for i, part := range parts {
		parts[i] = strings.ReplaceAll(part, "~", "/")
	}
	return parts
}
