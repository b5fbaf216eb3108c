package bench

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// dialogues is the folder of the real dialogues and RoBERTa's tokenizer.
func dialogues(t *testing.T) string {
	t.Helper()
	data := filepath.Join("..", "..", "..", "shared", "data")
	if _, err := os.Stat(data); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the dialogues are missing: %v", err)
		}
		t.Skip("needs the dialogues beside the project")
	}
	return data
}

// ask opens a peer of the demo's size on the first dialogue and returns its answers, the greeting first.
func ask(t *testing.T, mode string, dropout float64, lines ...string) []map[string]any {
	t.Helper()
	p, err := OpenPeer(PeerOptions{Mode: mode, Data: dialogues(t), Size: "demo", Dialogues: 1, Rank: 8, Dropout: dropout, Threads: 2, Spin: mode == "lora"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var out bytes.Buffer
	if err := p.Serve(t.Context(), strings.NewReader(strings.Join(lines, "\n")), &out); err != nil {
		t.Fatal(err)
	}
	var answers []map[string]any
	for d := json.NewDecoder(&out); d.More(); {
		answer := map[string]any{}
		if err := d.Decode(&answer); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, answer)
	}
	if len(answers) != len(lines)+1 {
		t.Fatalf("%d answers to %d lines", len(answers), len(lines))
	}
	return answers
}

// TestPeer: all modes have the same loss for the same weights while LoRA's B is zero; a step changes it, a turn before the
// step does not; dropout does; a wrong word is an answer.
func TestPeer(t *testing.T) {
	loss := func(answer map[string]any) float64 { return answer["loss"].(float64) }
	scored := ask(t, "eval", 0.1, "turn 2")
	if scored[0]["turns"].(float64) < 3 || scored[1]["rows"].(float64) != 20 {
		t.Errorf("greeting %v, answer %v", scored[0], scored[1])
	}
	for _, mode := range []string{"lora", "full"} {
		a := ask(t, mode, 0, "turn 2", "turn 2", "step", "turn 2", "peak", "nonsense", "turn -1")
		if d := loss(a[1]) - loss(scored[1]); math.Abs(d) > 1e-5 || loss(a[1]) != loss(a[2]) || a[1]["tokens"] != scored[1]["tokens"] {
			t.Errorf("%s: %v, then %v, scoring says %v", mode, a[1], a[2], scored[1])
		}
		if loss(a[4]) == loss(a[1]) {
			t.Errorf("%s: the step left the loss at %v", mode, a[4])
		}
		if a[6]["error"] == nil || a[7]["error"] == nil {
			t.Errorf("%s: answered %v and %v", mode, a[6], a[7])
		}
		if dropped := ask(t, mode, 0.5, "turn 2"); loss(dropped[1]) == loss(a[1]) {
			t.Errorf("%s: dropout leaves the loss at %v", mode, dropped[1])
		}
	}
}
