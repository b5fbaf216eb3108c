package pipeline

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"

	"metalora/convai2"
	"metalora/models"
	"metalora/onnx/ort"
	"metalora/pipeline/fault"
	"metalora/tokenize"
)

// PredictOptions say which model scores candidates.
type PredictOptions struct {
	Model     string // a folder or an .onnx file
	Adapter   string // a PEFT folder; "": none
	Tokenizer string // a folder; "": the model's, or the one that an .onnx file lies in
	Separator string // between the utterances of a context, as in training
	Threads   int    // 0: all cores
	Device    ort.Device
}

// Predictor scores the candidates of turns.
type Predictor struct {
	scorer *Scorer
	reader turnReader
}

// Prediction is one turn's scores; Best is the place of the highest, the first of equals.
type Prediction struct {
	Dialogue int       `json:"dialogue"`
	Turn     int       `json:"turn"`
	Scores   []float32 `json:"scores"`
	Best     int       `json:"best"`
}

// OpenPredictor loads a model, its tokenizer and an adapter. A model without a head is an input error, as is an adapter
// that belongs to another base.
func OpenPredictor(o PredictOptions) (*Predictor, error) {
	scorer, err := OpenScorer(o.Model, o.Adapter, o.Threads, o.Device)
	if err != nil {
		return nil, err
	}
	reader, err := newTurnReader(o.Model, o.Tokenizer, o.Separator, scorer.limits)
	if err != nil {
		scorer.Close()
		return nil, err
	}
	return &Predictor{scorer, reader}, nil
}

// Notes are what a person should know of the adapter.
func (p *Predictor) Notes() []string { return p.scorer.Notes }

// Close ends the engine.
func (p *Predictor) Close() { p.scorer.Close() }

// Score gives each candidate's score as the next utterance after a context: logit[1].
func (p *Predictor) Score(ctx context.Context, said string, candidates []string) ([]float32, error) {
	turn, err := encodeTurn(p.reader.tokenizer, convai2.Sample{Context: said, Candidates: candidates}, p.reader.length)
	if err != nil {
		return nil, fault.Input(err)
	}
	return p.scorer.engine.Score(ctx, &turn, p.scorer.set)
}

// Predict scores every turn that has candidates, in order, as the dialogues are read. The first error ends the sequence.
func (p *Predictor) Predict(ctx context.Context, dialogues iter.Seq2[*convai2.Dialogue, error]) iter.Seq2[Prediction, error] {
	return func(yield func(Prediction, error) bool) {
		turns := 0
		for sample, err := range p.reader.samples(dialogues) {
			var x Prediction
			if err == nil {
				turns++
				x, err = p.predict(ctx, sample)
			}
			if !yield(x, err) || err != nil {
				return
			}
		}
		if turns == 0 {
			yield(Prediction{}, fault.Input(errNoTurns))
		}
	}
}

var errNoTurns = errors.New("no turn of the dialogues has candidates, so there is nothing to score")

func (p *Predictor) predict(ctx context.Context, s convai2.Sample) (Prediction, error) {
	x := Prediction{Dialogue: s.Dialogue, Turn: s.Turn}
	var err error
	if x.Scores, err = p.Score(ctx, s.Context, s.Candidates); err != nil {
		return x, fmt.Errorf("dialogue %d, turn %d: %w", s.Dialogue, s.Turn, err)
	}
	for i, score := range x.Scores {
		if score > x.Scores[x.Best] {
			x.Best = i
		}
	}
	return x, nil
}

// turnReader makes what a model reads of dialogues.
type turnReader struct {
	tokenizer *tokenize.Tokenizer
	separator string
	length    int // the most tokens of a pair
}

func newTurnReader(model, tokenizer, separator string, limits models.Limits) (turnReader, error) {
	if tokenizer == "" {
		tokenizer = tokenizerOf(model)
	}
	t, err := loadTokenizer(tokenizer)
	if err != nil {
		return turnReader{}, fault.Input(err)
	}
	return turnReader{t, separator, limits.Length}, checkTokenizer(limits, t, model)
}

// tokenizerOf is the folder of a model's tokenizer where none is named.
func tokenizerOf(model string) string {
	if models.IsONNX(model) {
		return filepath.Dir(model)
	}
	return model
}

// samples are the turns with candidates, a dialogue in memory at a time.
func (r turnReader) samples(dialogues iter.Seq2[*convai2.Dialogue, error]) iter.Seq2[convai2.Sample, error] {
	return func(yield func(convai2.Sample, error) bool) {
		for d, err := range dialogues {
			var all []convai2.Sample
			if err == nil {
				all, err = convai2.SamplesJoined(d, r.separator)
			}
			if err != nil {
				yield(convai2.Sample{}, fault.Input(err))
				return
			}
			for _, s := range all {
				if !yield(s, nil) {
					return
				}
			}
		}
	}
}
