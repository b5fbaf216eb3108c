package pipeline_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"metalora/convai2"
	"metalora/pipeline"
)

// A model and an adapter score the candidates of dialogues, here from a text.
func ExampleOpenPredictor() {
	model, _, adapters := prepared()
	defer os.RemoveAll(filepath.Dir(model))
	predictor, err := pipeline.OpenPredictor(pipeline.PredictOptions{Model: model, Adapter: adapters[0]})
	if err != nil {
		log.Fatal(err)
	}
	defer predictor.Close()
	dialogues := strings.NewReader("1 your persona: i like tea.\n2 what do you drink ?\ttea , always .\t\tcoffee .|i like trains .|tea , always .\n")
	for p, err := range predictor.Predict(context.Background(), convai2.Dialogues(dialogues, "a text")) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("dialogue %d, turn %d: %d scores\n", p.Dialogue, p.Turn, len(p.Scores))
	}
	// Output: dialogue 0, turn 0: 3 scores
}

// Many adapters of one base are measured on a file; the results file lets a stopped evaluation go on.
func ExampleEvaluate() {
	model, dialogues, adapters := prepared()
	defer os.RemoveAll(filepath.Dir(model))
	o := pipeline.EvaluateOptions{Model: model, Adapters: adapters, Data: dialogues, Out: filepath.Join(filepath.Dir(model), "results.csv")}
	for e, err := range pipeline.Evaluate(context.Background(), o, pipeline.Quiet{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(filepath.Base(e.Adapter), "on", e.Turns, "turns")
	}
	// Output:
	// first on 18 turns
	// second on 18 turns
}

// prepared writes a small model, dialogues and adapters into one temporary folder.
func prepared() (model, dialogues string, adapters []string) {
	dir, err := os.MkdirTemp("", "metalora-example-*")
	if err != nil {
		log.Fatal(err)
	}
	model, dialogues, adapters, err = pipeline.WriteExample(dir)
	if err != nil {
		log.Fatal(err)
	}
	return model, dialogues, adapters
}
