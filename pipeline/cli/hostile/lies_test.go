//go:build unix

package main

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"metalora/models/safetensors"
)

// TestRunFolder: run folders whose manifests are right for files that lie. Each command ends in order, or with a message that
// names file and reason, within a second of the processor and 64 MiB beyond what it takes in the folder without the lie; it lets
// nothing through that commands a terminal.
func TestRunFolder(t *testing.T) {
	done, stopped := makeRun(t, 0), makeRun(t, stopAfter)
	lies, worst := 0, &excess{}
	t.Cleanup(func() {
		t.Logf("%d lies and %d commands, which took up to %v and %d MiB more than in a folder without a lie", lies, worst.commands, worst.used, worst.bytes>>20)
	})
	for _, kind := range []struct {
		name  string
		from  run
		verbs []string
		lies  []lie
	}{
		{"results", done, []string{"report", "verify"}, slices.Concat(resultLies(), metricLies())},
		{"folder", done, []string{"report", "status", "run", "verify", "predict", "evaluate"}, slices.Concat(sizeLies(), recordLies(), links())},
		{"checkpoint", stopped, []string{"run", "verify"}, slices.Concat(checkpointLies(), tensorLies())},
		{"half", done.half(), []string{"run", "tune"}, baseLies()},
		{"work", stopped, []string{"status", "run", "verify"}, workLies()},
	} {
		usual := map[string]course{}
		for _, verb := range kind.verbs {
			if usual[verb] = command(t, kind.from.copied(t).verbs()[verb]...); usual[verb].code != 0 {
				t.Fatalf("%s in order: %v", verb, usual[verb])
			}
		}
		lies += len(kind.lies)
		for _, l := range kind.lies {
			t.Run(kind.name+"/"+l.name, func(t *testing.T) {
				t.Parallel()
				l.tried(t, kind.from, usual, worst)
			})
		}
	}
}

const evil = "\x1b]0;owned\x07\x1b[2J\u009b31m\u202e"

// all says that some verbs are refused with one message.
func all(want string, verbs ...string) map[string]string {
	m := map[string]string{}
	for _, verb := range verbs {
		m[verb] = want
	}
	return m
}

// reading are the verbs that read what a unit says of itself.
var reading = []string{"report", "verify"}

// resultLies are about the results of an adaptation.
func resultLies() []lie {
	var lies []lie
	set := func(name, want, place string, value any) {
		lies = append(lies, lie{name: name, made: func(r run) {
			r.json(r.unit(adapted, "results.json"), place, value)
			r.seal(r.unit(adapted, ""))
		}, want: all("results.json|"+want, reading...)})
	}
	other := func(name, want, place string, value any) { // whose they are is known to the run alone
		set(name, want, place, value)
		lies[len(lies)-1].want = all("results.json|"+want, "report")
	}
	other("results of another unit", `unit is`, "unit", "adapt-000000000000")
	other("results of another task", `task is`, "task", "task 7")
	other("results of another fold", `fold is`, "fold", 3)
	other("results of another method", `method is`, "method", evil)
	other("results of another kind", `kind is`, "kind", "retrain")
	other("results limited", `limit is`, "limit", 5)
	set("turns negative", `train_turns is -1`, "train_turns", -1)
	set("parameters negative", `parameters is -9`, "parameters", -9)
	set("parameters without end", `parameters is 9223372036854775807`, "parameters", math.MaxInt64)
	set("cut without end", `cut is 9223372036854775807`, "cut", math.MaxInt64)
	set("skipped negative", `skipped is -1`, "skipped", -1)
	set("tokens too many for a number", `cannot unmarshal`, "tokens", json.Number("1e400"))
	set("no epochs", `no epoch`, "epochs", []any{})
	set("epoch negative", `epoch -4`, "epochs/0/epoch", -4)
	set("epoch without end", `epoch 9000000000000000000`, "epochs/1/epoch", 9000000000000000000)
	set("epoch twice", `epoch 1`, "epochs/1/epoch", 1)
	set("accuracy of two", `accuracy`, "epochs/0/held_out/accuracy", 2)
	set("accuracy negative", `accuracy`, "epochs/1/held_out/accuracy", -0.5)
	set("accuracy that scores do not give", `scores give`, "epochs/1/held_out/accuracy", 1)
	set("hits of a thousand", `hits5`, "epochs/0/held_out/hits5", 1000)
	set("rank negative", `mrr`, "epochs/0/held_out/mrr", -1e300)
	set("chance infinite", `cannot unmarshal`, "epochs/0/held_out/chance", json.Number("1e999"))
	set("right turns negative", `correct`, "epochs/0/held_out/correct", -3)
	set("loss negative", `loss`, "epochs/0/loss", -1e308)
	set("gold outside", `gold candidate 99 of 4`, "turns/0/gold", 99)
	set("gold negative", `gold candidate -1 of 4`, "turns/0/gold", -1)
	set("no scores", `gold candidate 3 of 0`, "turns/0/scores", []any{})
	set("score beyond float32", `cannot unmarshal`, "turns/0/scores/1", json.Number("1e39"))
	set("turn twice", `comes twice`, "turns/1/turn", 0)
	set("dialogue negative", `dialogue -8`, "turns/0/dialogue", -8)
	set("fewer turns than said", `held_out_turns`, "held_out_turns", 2)
	set("turns a text", `cannot unmarshal`, "turns", "none")
	set("rate factor", `rate_factor`, "rate_factor", -1)
	set("kept", `kept`, "kept", -3)
	lies = append(lies,
		lie{name: "notes that command", made: func(r run) {
			r.json(r.unit(adapted, "results.json"), "notes", []any{evil})
			r.seal(r.unit(adapted, ""))
		}},
		lie{name: "notes without end", made: func(r run) {
			notes := make([]any, 300_000)
			for i := range notes {
				notes[i] = "note " + strings.Repeat("x", i%97) + string(rune('a'+i%26)) + json.Number(itoa(i)).String()
			}
			r.json(r.unit(adapted, "results.json"), "notes", notes)
			r.seal(r.unit(adapted, ""))
		}, want: all("results.json", reading...)},
	)
	text := func(name, want, text string) {
		lies = append(lies, lie{name: name, made: func(r run) {
			r.write(r.unit(adapted, "results.json"), text)
			r.seal(r.unit(adapted, ""))
		}, want: all(want, reading...)})
	}
	text("results deep", "nested deeper than 100", strings.Repeat("[", 100_000))
	text("results empty", "results.json", "")
	text("results null", "results.json", "null")
	text("results of empty turns", "results.json", `{"turns":[`+strings.Repeat("{},", 4_000_000)+`{}]}`)
	text("results of empty scores", "results.json", `{"turns":[`+strings.Repeat(`{"scores":[0]},`, 1_900_000)+`{}]}`)
	text("results of empty epochs", "results.json", `{"epochs":[`+strings.Repeat("{},", 1_900_000)+`{}]}`)
	text("results of a long text", "results.json", `{"unit":"`+strings.Repeat("x", 45_000_000)+`"}`)
	return lies
}

func itoa(i int) string { b, _ := json.Marshal(i); return string(b) }

// metricLies are about the steps of a retraining.
func metricLies() []lie {
	var lies []lie
	text := func(name, want string, text func(good string) string) {
		lies = append(lies, lie{name: name, made: func(r run) {
			path := r.unit(retrained, "metrics.jsonl")
			good, err := os.ReadFile(path)
			r.fails(err)
			r.write(path, text(string(good)))
			r.seal(r.unit(retrained, ""))
		}, want: all(want, reading...)})
	}
	first := `{"step":0,`
	text("step without end", "metrics.jsonl|1: step 9223372036854775807", func(s string) string { return strings.Replace(s, first, `{"step":9223372036854775807,`, 1) })
	text("step negative", "metrics.jsonl|1: step -5", func(s string) string { return strings.Replace(s, first, `{"step":-5,`, 1) })
	text("step twice", "metrics.jsonl|2: step 0", func(s string) string { return strings.Replace(s, `{"step":1,`, `{"step":0,`, 1) })
	text("steps too many", "metrics.jsonl|15: ", func(s string) string { return s + strings.Repeat(`{"step":12,"loss":1}`+"\n", 3_000_000) })
	text("epochs too many", "metrics.jsonl", func(s string) string { return s + strings.Repeat(`{"epoch":1,"held_out":{}}`+"\n", 2_000_000) })
	text("steps too few", "metrics.jsonl", func(s string) string { return s[:strings.Index(s, "\n")+1] })
	text("a line without end", "metrics.jsonl|1: ", func(string) string { return `{"step":0,"inner":[` + strings.Repeat("{},", 20_000_000) + `{}]}` })
	text("no metrics", "metrics.jsonl", func(string) string { return "" })
	text("metrics deep", "metrics.jsonl|1: ", func(string) string { return strings.Repeat("[", 60_000) })
	loss := func(name, want string, losses ...string) {
		text(name, want, func(s string) string {
			for i, x := range losses {
				at := strings.Index(s, `"loss":0.`)
				end := at + strings.IndexByte(s[at:], ',')
				s = s[:at] + []string{`"loss": `, `"loss":  `, `"loss":   `}[i] + x + s[end:]
			}
			return s
		})
	}
	loss("loss negative", "metrics.jsonl|1: loss", "-7")
	loss("loss infinite", "metrics.jsonl|1: ", "1e999")
	// Losses like these are possible, and must be drawn.
	n := len(lies)
	loss("losses that differ by little", "", "1e17", "100000000000000016")
	loss("losses that differ by much", "", "1.7e308", "1e-300")
	for i := range lies[n:] {
		lies[n+i].want = nil
	}
	return lies
}

// recordLies are about what a unit says of itself besides.
func recordLies() []lie {
	var lies []lie
	set := func(name, want, file, place string, value any, verbs ...string) {
		lies = append(lies, lie{name: name, made: func(r run) {
			r.json(r.unit(adapted, file), place, value)
			r.seal(r.unit(adapted, ""))
		}, want: all(want, verbs...)})
	}
	// Where and when is shown as it is said, or not at all.
	set("seconds negative", "provenance.json", "provenance.json", "seconds", -1e300, "verify")
	set("seconds without end", "provenance.json", "provenance.json", "seconds", 1.7e308, "verify")
	set("memory negative", "provenance.json", "provenance.json", "peak_bytes", math.MinInt64, "verify")
	set("processors negative", "provenance.json", "provenance.json", "cpus", -4, "verify")
	set("host commands", "", "provenance.json", "host", evil)
	set("engine commands", "", "provenance.json", "engine", map[string]any{evil: evil})
	set("engine deep", "", "provenance.json", "engine", map[string]any{"x": json.RawMessage(strings.Repeat("[", 90) + strings.Repeat("]", 90))})
	set("elsewhere commands", "", "provenance.json", "elsewhere", []any{evil})
	lies = append(lies,
		lie{name: "provenance deep", made: func(r run) {
			r.write(r.unit(adapted, "provenance.json"), strings.Repeat("[", 1_000_000))
			r.seal(r.unit(adapted, ""))
		}, want: all("provenance.json", "verify")},
		lie{name: "provenance of empty lists", made: func(r run) {
			r.write(r.unit(adapted, "provenance.json"), `{"engine":{"x":[`+strings.Repeat("[],", 1_390_000)+"[]]}}")
			r.seal(r.unit(adapted, ""))
		}, want: all("provenance.json", "verify")},
		lie{name: "a unit of nobody's", code: 2, made: func(r run) {
			other := filepath.Join(r.dir, "units", "adapt-00000000000a")
			r.fails(os.CopyFS(other, os.DirFS(r.unit(adapted, ""))))
			r.json(filepath.Join(other, "unit.json"), "label", evil)
			r.json(filepath.Join(other, "unit.json"), "settings/adapt.batch", evil)
			r.seal(other)
		}, want: all("made with other settings", "report", "status", "run")},
		lie{name: "units by thousands", made: func(r run) {
			for i := range 1000 {
				other := filepath.Join(r.dir, "units", "adapt-0000"+itoa(10_000_000+i))
				r.fails(os.Mkdir(other, 0o777))
				for _, file := range []string{"unit.json", "results.json", "metrics.jsonl", "provenance.json", "manifest.json"} {
					r.fails(os.Link(r.unit(unadapted, file), filepath.Join(other, file)))
				}
			}
		}},
	)
	return lies
}

// links lead out of a finished run's folder.
func links() []lie {
	var lies []lie
	out := func(name string, path func(r run) string, want map[string]string) {
		lies = append(lies, lie{name: "link for " + name, made: func(r run) {
			elsewhere := filepath.Join(r.t.TempDir(), "elsewhere")
			at := path(r)
			r.fails(errors.Join(os.Rename(at, elsewhere), os.Symlink(elsewhere, at)))
		}, want: want})
	}
	below := func(name string) func(r run) string {
		return func(r run) string {
			path := filepath.Join(r.dir, name)
			r.fails(os.MkdirAll(path, 0o777))
			return path
		}
	}
	every := []string{"report", "status", "run", "verify"}
	out("units", below("units"), all("units|is a link", every...))
	out("work", below("work"), all("work|is a link", every...))
	out("report", below("report"), all("report is a link", "report", "status", "run"))
	out("figures", below("report/figures"), all("figures is a link", "report", "status", "run"))
	out("events", below("events"), all("events is a link", "report", "status", "run"))
	out("events of the report", below("events/report"), all("events/report is a link", "report", "status", "run"))
	out("a unit", func(r run) string { return r.unit(adapted, "") }, all("is a link", every...))
	for _, file := range []string{"results.json", "manifest.json"} {
		out(file, func(r run) string { return r.unit(retrained, file) }, all(file, every...))
	}
	out("metrics.jsonl", func(r run) string { return r.unit(retrained, "metrics.jsonl") }, all("metrics.jsonl", "report", "run", "verify"))
	out("provenance", func(r run) string { return r.unit(adapted, "provenance.json") }, all("provenance.json", "verify"))
	return lies
}

// sizeLies are files of holes, as large as their manifests say, which no sum should be kept busy with.
func sizeLies() []lie {
	var lies []lie
	add := func(label, file string, want map[string]string) {
		lies = append(lies, lie{name: file + " of holes", made: func(r run) {
			path := r.unit(label, file)
			r.fails(errors.Join(os.WriteFile(path, nil, 0o666), os.Truncate(path, 1<<40)))
			r.seal(r.unit(label, ""))
		}, want: want})
	}
	add(adapted, "results.json", all("results.json", "report", "status", "run", "verify"))
	add(retrained, "metrics.jsonl", all("metrics.jsonl", "report", "run", "verify"))
	add(adapted, "provenance.json", all("provenance.json", "verify"))
	add(adapted, "extra", all("extra", "verify"))
	add(adapted, "adapter/notes.txt", all("notes.txt", "verify", "predict", "evaluate"))
	return lies
}

// half is the run without its adaptations, which are to be computed from the retrained base that is there.
func (r run) half() run {
	r = r.copied(r.t)
	for label, id := range r.ids {
		if strings.HasPrefix(label, "adapt ") {
			r.fails(os.RemoveAll(filepath.Join(r.dir, "units", id)))
		}
	}
	return r
}

// baseLies are about what is adapted, and about the place where an adapter is made.
func baseLies() []lie {
	var lies []lie
	for _, name := range []string{"model", "discarded"} { // a manifest vouches for no link, but a unit need not have one
		lies = append(lies, lie{name: "link for the " + name, made: func(r run) {
			at, elsewhere := r.unit(retrained, name), filepath.Join(r.t.TempDir(), "elsewhere")
			r.fails(errors.Join(os.Remove(r.unit(retrained, "manifest.json")), os.Rename(at, elsewhere), os.Symlink(elsewhere, at)))
		}, want: all(name+" is a link", "run")})
	}
	for _, name := range []string{"weights of another shape", "weights NaN"} {
		lies = append(lies, lie{name: name, made: func(r run) {
			r.tensors(r.unit(retrained, "model/model.safetensors"), func(all safetensors.Tensors) {
				x := all["roberta.embeddings.LayerNorm.bias"]
				x.Data[0] = float32(math.NaN())
				if name != "weights NaN" {
					all["roberta.embeddings.LayerNorm.bias"] = safetensors.Tensor{Shape: []int{2, 4}, Data: make([]float32, 8)}
				}
			})
			r.seal(r.unit(retrained, ""))
		}, want: all("model.safetensors|roberta.embeddings.LayerNorm.bias", "run", "tune")})
	}
	lies = append(lies, lie{name: "link for the lock of a tuning", made: func(r run) {
		r.fails(os.Mkdir(filepath.Join(r.dir, "new.unfinished"), 0o777))
		r.fails(os.Symlink(filepath.Join(r.t.TempDir(), "elsewhere"), filepath.Join(r.dir, "new.unfinished", "lock")))
	}, want: all("lock is a link", "tune")})
	return lies
}
