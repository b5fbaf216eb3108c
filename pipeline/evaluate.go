package pipeline

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"

	"metalora/adapters"
	"metalora/convai2"
	"metalora/eval"
	"metalora/models"
	"metalora/onnx/ort"
	"metalora/pipeline/fault"
	"metalora/pipeline/train"
)

// EvaluateOptions say which adapters of one model are measured on what.
type EvaluateOptions struct {
	Model     string   // a folder or an .onnx file: the base of every adapter
	Adapters  []string // PEFT folders
	Data      string   // a dialogue file; every turn that has candidates is scored
	Tokenizer string   // a folder; "": the model's
	Separator string   // between the utterances of a context, as in training
	Threads   int      // 0: all cores
	Device    ort.Device
	Out       string // results as they come, by its ending .csv or else JSON lines; what it holds already is not done again; "": none
}

// Evaluation is what one adapter got.
type Evaluation struct {
	Adapter string `json:"adapter"`
	eval.Metrics
	Cut     int    `json:"cut"`     // pairs whose context was cut to fit
	Inputs  string `json:"inputs"`  // sum over the model, the data and how they are read
	Weights string `json:"weights"` // sum over the adapter's files
}

// mostAtOnce bounds the adapters in memory.
const mostAtOnce = 16

// Evaluate measures adapters one after another or, where the turns are small, several in each run of the model. Memory holds
// the model once and few adapters at a time. All adapters are checked before the first is scored. Results come as they are
// done, those that o.Out has from before first; the first error ends the sequence.
func Evaluate(ctx context.Context, o EvaluateOptions, p Progress) iter.Seq2[Evaluation, error] {
	return func(yield func(Evaluation, error) bool) {
		e, err := newEvaluation(o)
		if err != nil {
			yield(Evaluation{}, err)
			return
		}
		defer e.close()
		for _, done := range e.results.done {
			if !yield(done, nil) {
				return
			}
		}
		for _, note := range e.parents.notes {
			p.Note(note)
		}
		p.Start(fmt.Sprintf("evaluate %d adapters on %d turns", len(e.pending), len(e.samples)))
		err = e.run(ctx, p, yield)
		p.End(err)
		if err != nil && !errors.Is(err, errEnough) {
			yield(Evaluation{}, err)
		}
	}
}

// errEnough says that the caller wants no more results.
var errEnough = errors.New("no more results are wanted")

// evaluation is an evaluation under way.
type evaluation struct {
	EvaluateOptions
	base    *models.Folder
	parents *parentage
	places  []adapters.Linear // of the base that can bear adapters
	reader  turnReader
	samples []convai2.Sample
	pending []Evaluation // not done yet, with their sums
	results *resultsFile
	spec    train.Spec
	engine  *train.Engine
	shared  *train.Set
}

func newEvaluation(o EvaluateOptions) (*evaluation, error) {
	e := &evaluation{EvaluateOptions: o}
	if err := ready(o.Device); err != nil {
		return nil, err
	}
	var err error
	if e.base, err = loadModel(o.Model); err != nil {
		return nil, fault.Input(err)
	}
	e.parents = newParentage(e.base)
	if e.reader, err = newTurnReader(o.Model, o.Tokenizer, o.Separator, e.base.Architecture.Limits()); err != nil {
		return nil, err
	}
	dialogues, err := convai2.ReadFile(o.Data)
	if err != nil {
		return nil, fault.Input(err)
	}
	for _, d := range dialogues {
		samples, err := convai2.SamplesJoined(d, o.Separator)
		if err != nil {
			return nil, fault.Input(err)
		}
		e.samples = append(e.samples, samples...)
	}
	if len(e.samples) == 0 {
		return nil, fault.Input(fmt.Errorf("%s: %w", o.Data, errNoTurns))
	}
	if err := e.look(); err != nil {
		return nil, err
	}
	return e, e.open()
}

// look checks every adapter, finds where any of them sits, and which have been done.
func (e *evaluation) look() error {
	inputs, err := e.inputs()
	if err == nil {
		e.places, err = bearers(e.base.Architecture)
	}
	if err != nil {
		return fault.Input(err)
	}
	places, all := map[string]bool{}, []Evaluation{}
	seen := map[string]bool{}
	for _, dir := range e.Adapters {
		if seen[dir] {
			return fault.Usage(fmt.Errorf("the adapter %s is named twice", dir))
		}
		seen[dir] = true
		a, err := loadOwn(dir, e.parents, e.places)
		if err != nil {
			return fault.Input(err)
		}
		for _, s := range a.Sites {
			if !places[s.Linear] {
				places[s.Linear] = true
				e.spec.Sites = append(e.spec.Sites, s)
			}
		}
		weights, err := folderSum(dir, []string{"adapter_config.json", "*.safetensors"})
		if err != nil {
			return fault.Input(err)
		}
		all = append(all, Evaluation{Adapter: dir, Inputs: inputs, Weights: weights[:16]})
	}
	e.results, e.pending, err = openResults(e.Out, all)
	return err
}

// inputs is a sum over all that the adapters are measured on.
func (e *evaluation) inputs() (string, error) {
	model, errModel := located(modelSum)(e.Model)
	data, errData := fileSum(e.Data)
	tokenizer := e.Tokenizer
	if tokenizer == "" {
		tokenizer = tokenizerOf(e.Model)
	}
	words, errWords := located(tokenizerSum)(tokenizer)
	return textSum(model, data, words, e.Separator)[:16], errors.Join(errModel, errData, errWords)
}

func (e *evaluation) open() error {
	e.spec.Architecture, e.spec.Mixed, e.spec.Threads, e.spec.Device = e.base.Architecture, true, e.Threads, e.Device
	encoder, _ := models.Split(e.base.Architecture, e.base.Tensors)
	var err error
	if e.engine, err = train.NewEngine(e.spec); err == nil {
		e.shared, err = train.NewSet(encoder, nil)
	}
	if err != nil {
		e.close()
	}
	return err
}

func (e *evaluation) close() {
	if e.engine != nil {
		e.engine.Close()
	}
	if e.shared != nil {
		e.shared.Close()
	}
	e.results.close()
}

// run evaluates what is pending, a group of adapters after another.
func (e *evaluation) run(ctx context.Context, p Progress, yield func(Evaluation, error) bool) error {
	size, err := e.groupSize()
	if err != nil {
		return err
	}
	p.Expect(0, len(e.samples)*len(e.pending))
	for done := 0; done < len(e.pending); {
		group := e.pending[done:min(done+size, len(e.pending))]
		if err := e.group(ctx, group, p); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("%w: %s", fault.Stopped, e.results.left(len(e.pending)-done))
			}
			return err
		}
		for _, x := range group {
			if err := e.results.add(x); err != nil {
				return err
			}
			if !yield(x, nil) {
				return errEnough
			}
		}
		done += len(group)
	}
	return nil
}

// groupSize is how many adapters share a run, by the size of the first turns: more would only wait for each other.
func (e *evaluation) groupSize() (int, error) {
	few := e.samples[:min(16, len(e.samples))]
	tokens := 0
	for _, s := range few {
		turn, err := e.turn(s)
		if err != nil {
			return 0, err
		}
		tokens += turn.Rows * turn.Length
	}
	return min(mostAtOnce, e.engine.AtOnce(tokens/len(few))), nil
}

func (e *evaluation) turn(s convai2.Sample) (train.Turn, error) {
	turn, err := encodeTurn(e.reader.tokenizer, s, e.reader.length)
	if err != nil {
		return turn, fault.Input(fmt.Errorf("%s: dialogue %d, turn %d: %w", e.Data, s.Dialogue, s.Turn, err))
	}
	return turn, nil
}

// group fills in what some adapters get.
func (e *evaluation) group(ctx context.Context, group []Evaluation, p Progress) error {
	all := make([]adapters.Mixed, len(group))
	for i, x := range group {
		var err error
		if all[i], err = loadOwn(x.Adapter, e.parents, e.places); err != nil {
			return fault.Input(err)
		}
	}
	stack := adapters.Stack(e.spec.Sites, e.spec.Heads(), all)
	scores := make([][]eval.TurnScore, len(group))
	cut := 0
	for _, s := range e.samples {
		turn, err := e.turn(s)
		if err != nil {
			return err
		}
		cut += turn.Cut
		found, err := e.engine.ScoreMixed(ctx, &turn, stack, e.shared)
		if err != nil {
			return fmt.Errorf("scoring turn %d of dialogue %d: %w", s.Turn, s.Dialogue, err)
		}
		for i, f := range found {
			scores[i] = append(scores[i], eval.TurnScore{Dialogue: s.Dialogue, Turn: s.Turn, Gold: s.Gold, Scores: f})
			p.Step(math.NaN(), turn.Tokens)
		}
	}
	for i := range group {
		if err := eval.CheckScores(scores[i]); err != nil {
			return fault.Input(fmt.Errorf("adapter %s: %w", group[i].Adapter, err))
		}
		group[i].Metrics, group[i].Cut = eval.Measure(scores[i]), cut
	}
	return nil
}

// EvaluationTable shows evaluations, in the order given.
func EvaluationTable(all []Evaluation) eval.Table {
	t := eval.Table{Key: "evaluation", Columns: []eval.Column{{Key: "adapter", Name: "adapter"}, {Key: "turns", Name: "turns"}, {Key: "accuracy", Name: "accuracy %"},
		{Key: "hits5", Name: "hits@5 %"}, {Key: "mrr", Name: "MRR"}, {Key: "chance", Name: "chance %"}, {Key: "cut", Name: "cut"}}}
	for _, x := range all {
		t.Rows = append(t.Rows, []eval.Cell{eval.Words(x.Adapter), eval.Count(x.Turns), eval.Percent(x.Accuracy), eval.Percent(x.Hits5),
			eval.Number(x.MRR, 3), eval.Percent(x.Chance), eval.Count(x.Cut)})
	}
	return t
}
