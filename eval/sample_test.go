package eval_test

import (
	"fmt"
	"math"

	"metalora/eval"
	"metalora/pipeline/rng"
)

// skills is how far the gold score of each method stands above the others' at the end, in standard deviations.
var skills = map[string]float64{"sr": 1.45, "meta-lora-8": 1.72, "reptile": 1.3, "none": 0.2}

// sampleStudy is a made-up but plausible study: every number comes from named streams, so it is the same each time.
func sampleStudy(methods, adaptations []string, seeds, tasks int) *eval.Study {
	s := &eval.Study{
		Title:     "Persona dialogues: meta-retraining against standard retraining",
		Synthetic: true,
		Question:  "Does a model retrained with one LoRA per task (Meta-LoRA) adapt better to unseen personas than a conventionally retrained one (SR)?",
		Facts: [][2]string{
			{"Dialogues", "generated, seed 7; 60 personas, 420 dialogues"},
			{"Retraining tasks", "the 10 largest personas of the training part, last 3 dialogues held out"},
			{"Test tasks", fmt.Sprintf("the %d largest personas of the validation part, last 2 dialogues held out", tasks)},
			{"Base model", "RoBERTa, 2 layers, hidden 64, from scratch"},
			{"Kept checkpoint", "the epoch of best mean held-out accuracy over the retraining tasks"},
			{"Learning rates", "published, the same for all methods"},
		},
		Configuration: "retrain:\n  methods: [sr, meta-lora-8]\n  epochs: 10\nadapt:\n  family: lora\n  rank: 8\n",
		Command:       "metalora run configs/demo.yaml",
		Notes:         []string{"Two turns had contexts longer than the model and were cut at the front."},
		Footer:        []string{"2 cores, ONNX Runtime 1.30.0, linux/amd64", "wall time 4 min 12 s"},
	}
	for _, method := range methods {
		for seed := range seeds {
			s.Curves = append(s.Curves, sampleCurve(method, seed))
			for _, adaptation := range adaptations {
				for task := range tasks {
					s.Records = append(s.Records, sampleRecord(method, adaptation, seed, task))
				}
			}
		}
	}
	return s
}

func sampleRecord(method, adaptation string, seed, task int) eval.Record {
	stream := rng.New(3, method, adaptation, seed, task)
	ease := 0.35 * rng.New(3, "task", task).Normal()
	turns := 12 + task%5*2
	r := eval.Record{
		Unit: fmt.Sprintf("adapt-%s-%s-s%d-t%d", method, adaptation, seed, task), Method: method, Adaptation: adaptation, Seed: seed,
		Task: fmt.Sprintf("valid-%d", task+1), TrainTurns: 60 + 9*task, HeldOutTurns: turns, Parameters: 115_458, Seconds: 8 + stream.Float64(),
	}
	top := skills[method] + ease
	if adaptation == "head" {
		r.Parameters, top = 4_290, top-0.45
	}
	for epoch := 1; epoch <= 10; epoch++ {
		skill := top * (1 - math.Exp(-float64(epoch)/3))
		r.Turns = sampleTurns(stream, task, turns, skill)
		r.Epochs = append(r.Epochs, eval.Epoch{Epoch: epoch, Loss: 0.2 * math.Exp(-float64(epoch)/4), HeldOut: eval.Measure(r.Turns)})
	}
	return r
}

func sampleTurns(stream *rng.Stream, task, n int, skill float64) []eval.TurnScore {
	var turns []eval.TurnScore
	for i := range n {
		t := eval.TurnScore{Dialogue: 100*task + i*2/n, Turn: i, Gold: 19, Scores: make([]float32, 20)}
		for j := range t.Scores {
			t.Scores[j] = float32(stream.Normal())
		}
		t.Scores[19] += float32(skill)
		turns = append(turns, t)
	}
	return turns
}

func sampleCurve(method string, seed int) eval.Curve {
	stream := rng.New(4, method, seed)
	c := eval.Curve{Unit: fmt.Sprintf("retrain-%s-s%d", method, seed), Method: method, Seed: seed}
	for step := 1; step <= 1500; step += 5 {
		c.Steps = append(c.Steps, step)
		c.Loss = append(c.Loss, 0.12+0.1*math.Exp(-float64(step)/(300+200*skills[method]))+0.012*stream.Normal())
	}
	for epoch := range 11 {
		turns := sampleTurns(stream, 0, 150, skills[method]*(1-math.Exp(-float64(epoch)/3)))
		c.Epochs = append(c.Epochs, eval.Epoch{Epoch: epoch, HeldOut: eval.Measure(turns)})
	}
	return c
}
