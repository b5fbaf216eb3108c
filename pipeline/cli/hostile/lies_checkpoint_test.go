//go:build unix

package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"metalora/models/safetensors"
)

// checkpointLies are about how far a stopped training is.
func checkpointLies() []lie {
	var lies []lie
	set := func(name, want, place string, value any) {
		lies = append(lies, lie{name: name, made: func(r run) {
			r.json(r.checkpoint("state.json"), place, value)
			r.seal(r.checkpoint(""))
		}, want: all("state.json|"+want, "run")})
	}
	formal := func(name, place string, value any) { // what no training has, verify finds too
		set(name, "", place, value)
		lies[len(lies)-1].want["verify"] = "state.json"
	}
	set("steps negative", "-8", "run/done", -8)
	set("steps beyond the plan", "", "run/done", 1_000_000_000_000)
	set("steps of another checkpoint", "", "run/done", 7)
	set("epochs negative", "", "run/ended", -1)
	set("epochs beyond the plan", "", "run/ended", math.MaxInt64)
	set("no epochs", "", "run/ended", 0)
	set("an optimiser's count negative", "", "run/steps/shared~classifier.dense.bias", -3)
	set("an optimiser's count without end", "", "run/steps/shared~classifier.dense.bias", math.MaxInt64)
	set("an optimiser's count of nothing", "", "run/steps/shared~nothing", 8)
	set("loss negative", "", "loss", -1e308)
	set("steps of the epoch negative", "", "steps", -2)
	set("steps of the epoch without end", "", "steps", math.MaxInt64)
	formal("no result", "result", nil)
	set("unit", "", "unit", evil)
	lies[len(lies)-1].code = 2 // as of other settings
	set("result of another unit", "", "result/unit", evil)
	formal("parameters", "result/parameters", -1)
	formal("tokens", "result/tokens", -1)
	formal("skipped", "result/skipped", math.MaxInt64)
	set("turns trained on", "", "result/train_turns", 1)
	formal("kept beyond", "result/kept", 77)
	set("kept nothing", "", "result/kept", 0)
	formal("epochs lost", "result/epochs", []any{})
	formal("epochs another", "result/epochs/0/epoch", 2)
	formal("accuracy", "result/epochs/0/held_out/accuracy", 17)
	formal("turns scored", "result/turns", []any{map[string]any{"gold": 7, "scores": []any{1}}})
	text := func(name, file, want, text string) {
		lies = append(lies, lie{name: name, made: func(r run) {
			r.write(r.checkpoint(file), text)
			r.seal(r.checkpoint(""))
		}, want: all(want, "run")})
	}
	n := len(lies)
	text("state deep", "state.json", "state.json", strings.Repeat(`{"a":`, 9_000))
	text("state of empty turns", "state.json", "state.json", `{"result":{"turns":[`+strings.Repeat("{},", 1_900_000)+`{}]}}`)
	text("state null", "state.json", "state.json", "null")
	for _, l := range lies[n:] {
		l.want["verify"] = "state.json"
	}
	text("metrics of nothing", "metrics.jsonl", "metrics.jsonl", "")
	text("metrics without end", "metrics.jsonl", "metrics.jsonl", strings.Repeat(`{"step":0,"loss":1}`+"\n", 5_000_000))
	text("metrics no JSON", "metrics.jsonl", "metrics.jsonl", strings.Repeat("x", 90_000_000))
	for _, file := range []string{"metrics.jsonl", "state.json", "state.safetensors", "extra.bin", "extra.safetensors"} {
		lies = append(lies, lie{name: file + " of holes", made: func(r run) {
			r.fails(hole(r.checkpoint(file), []byte{2, 0, 0, 0, 0, 0, 0, 0, '{', '}'}, 1<<40))
			r.seal(r.checkpoint(""))
		}, want: all(file, "run", "verify")})
	}
	return lies
}

// tensorLies are about the weights and moments of a stopped training.
func tensorLies() []lie {
	var lies []lie
	change := func(name, want string, f func(all safetensors.Tensors)) {
		lies = append(lies, lie{name: name, made: func(r run) {
			r.tensors(r.checkpoint("state.safetensors"), f)
			r.seal(r.checkpoint(""))
		}, want: all("state.safetensors|"+want, "run")})
	}
	const bias = "shared/classifier.dense.bias"
	one := func(x float32) safetensors.Tensor { return safetensors.Tensor{Shape: []int{1}, Data: []float32{x}} }
	change("a weight missing", "", func(all safetensors.Tensors) { delete(all, "weight/"+bias) })
	change("a moment missing", "", func(all safetensors.Tensors) { delete(all, "v/"+bias) })
	change("a weight too many", "", func(all safetensors.Tensors) { all["weight/shared/x"] = one(1) })
	change("a weight of another shape", "", func(all safetensors.Tensors) { all["weight/"+bias] = one(1) })
	change("a moment of another shape", "", func(all safetensors.Tensors) { all["m/"+bias] = one(1) })
	change("a weight NaN", "", func(all safetensors.Tensors) { all["weight/"+bias].Data[0] = float32(math.NaN()) })
	change("a weight infinite", "", func(all safetensors.Tensors) { all["weight/"+bias].Data[0] = float32(math.Inf(1)) })
	change("a moment negative", "", func(all safetensors.Tensors) { all["v/"+bias].Data[0] = -1 })
	change("kept of no set", "", func(all safetensors.Tensors) { all["kept/99/x"] = one(1) })
	change("kept of a set that is none", "", func(all safetensors.Tensors) { all["kept/../x"] = one(1) })
	change("kept of nothing", "", func(all safetensors.Tensors) { all["kept/0/"+evil] = one(1) })
	change("kept missing", "", func(all safetensors.Tensors) { delete(all, "kept/0/classifier.dense.bias") })
	change("kept of another shape", "", func(all safetensors.Tensors) { all["kept/0/classifier.dense.bias"] = one(1) })
	change("kept NaN", "", func(all safetensors.Tensors) { all["kept/0/classifier.dense.bias"].Data[0] = float32(math.NaN()) })
	change("nothing kept", "", func(all safetensors.Tensors) {
		for name := range all {
			if strings.HasPrefix(name, "kept/") {
				delete(all, name)
			}
		}
	})
	lies = append(lies, lie{name: "weights of another type", made: func(r run) {
		path := r.checkpoint("state.safetensors")
		data, err := os.ReadFile(path)
		r.fails(err)
		r.write(path, strings.Replace(string(data), `"F32"`, `"I32"`, 1))
		r.seal(r.checkpoint(""))
	}, want: all("state.safetensors", "run")})
	return lies
}

// workLies are links and pipes in the work folder of a stopped run.
func workLies() []lie {
	var lies []lie
	out := func(name, file string, want map[string]string) {
		lies = append(lies, lie{name: "link for " + name, made: func(r run) {
			elsewhere := filepath.Join(r.t.TempDir(), "elsewhere")
			r.fails(os.Rename(filepath.Clean(r.work(file)), elsewhere))
			r.fails(os.Symlink(elsewhere, filepath.Clean(r.work(file))))
		}, want: want})
	}
	every := []string{"status", "run", "verify"}
	out("the unit's work", "", all("is a link", every...))
	out("the lock", "lock", all("lock is a link", "run", "status"))
	out("the attempts", "attempts.jsonl", all("attempts.jsonl is a link", "run", "status"))
	out("the checkpoints", "checkpoints", all("checkpoints|is a link", every...))
	out("the events", "events", all("events is a link", "run", "status"))
	step := filepath.Join("checkpoints", "step-00000008-epochs-00001")
	out("a checkpoint", step, all("is a link", every...))
	for _, file := range []string{"state.json", "metrics.jsonl", "state.safetensors", "manifest.json"} {
		out("a checkpoint's "+file, filepath.Join(step, file), map[string]string{"verify": file})
	}
	lies = append(lies,
		lie{name: "a pipe for the lock", made: func(r run) {
			r.fails(os.Remove(r.work("lock")))
			r.fails(syscall.Mkfifo(r.work("lock"), 0o666))
		}, want: all("lock", "run")},
		lie{name: "a lock of holes", made: func(r run) { r.fails(os.Truncate(r.work("lock"), 1<<40)) }},
		lie{name: "a failure that commands", made: func(r run) {
			r.write(r.work("failure.json"), `{"error":"\u001b]0;owned\u0007\u001b[2J\u202e"}`)
		}},
		lie{name: "a failure that is deep", made: func(r run) { r.write(r.work("failure.json"), strings.Repeat("[", 1_000_000)) }},
		lie{name: "an environment that commands", code: 2, made: func(r run) {
			r.json(r.checkpoint("manifest.json"), "environment/cpu", evil)
			r.seal(r.checkpoint(""))
		}, want: all("written elsewhere", "run")},
	)
	return lies
}
