package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"metalora/convai2"
	"metalora/models"
	"metalora/models/safetensors"
	"metalora/pipeline/machine"
	"metalora/pipeline/rng"
	"metalora/pipeline/train"
	"metalora/tokenize"
)

// PeerOptions say what work a [Peer] does, and on what.
type PeerOptions struct {
	Mode      string // full: every weight, LoRA and head train; lora: LoRA and head train; eval: forward alone
	Data      string // a folder with convai2/valid_self_original.txt and roberta-tokenizer/
	Model     string // a Hugging Face folder; empty: random weights of Size
	Size      string // minilm or base
	Dialogues int    // the task: the first ones of the file
	Rank      int
	Dropout   float64
	Threads   int
	Spin      bool // see [ort.Options]
	NoKernels bool // see [train.Spec]
}

// Peer does the experiment's work one turn at a time, asked line by line, so that another program that does the same can be
// timed in alternation with it. Everything a turn needs falls inside its own time, its dropout masks included.
type Peer struct {
	options PeerOptions
	turns   []train.Turn
	texts   corpus
	load    *load
	weights int
	product *matMul // nil until it is asked for, so that it has no part in what a start takes
}

// peerModes are what each mode trains.
var peerModes = map[string]train.Weights{"full": train.Base | train.Adapter | train.Head, "lora": train.Adapter | train.Head, "eval": 0}

// OpenPeer reads the turns and loads the model.
func OpenPeer(o PeerOptions) (*Peer, error) {
	trains, ok := peerModes[o.Mode]
	if !ok {
		return nil, fmt.Errorf("there is no mode %q: full, lora or eval", o.Mode)
	}
	p := &Peer{options: o, texts: corpus{data: o.Data}}
	var err error
	if p.turns, err = peerTurns(o.Data, o.Dialogues); err != nil {
		return nil, err
	}
	architecture, tensors, err := o.base()
	if err != nil {
		return nil, err
	}
	if trains == 0 {
		o.Rank, o.Dropout = 0, 0
	}
	spec, err := newSpec(architecture, trains, o.Rank, o.Dropout)
	if err != nil {
		return nil, err
	}
	spec.Threads, spec.Spin, spec.NoKernels = o.Threads, o.Spin, o.NoKernels
	if p.load, err = newLoad(spec, tensors); err != nil {
		return nil, err
	}
	for _, t := range tensors {
		p.weights += len(t.Data)
	}
	return p, nil
}

// base loads or draws the model.
func (o PeerOptions) base() (models.Architecture, safetensors.Tensors, error) {
	if o.Model != "" {
		f, err := models.Load(o.Model)
		if err != nil {
			return nil, nil, err
		}
		if !f.HasHead {
			return nil, nil, fmt.Errorf("loading %s: it has no classification head", o.Model)
		}
		return f.Architecture, f.Tensors, nil
	}
	shape, ok := Sizes[o.Size]
	if !ok {
		return nil, nil, fmt.Errorf("there is no size %q: minilm or base", o.Size)
	}
	c := shape()
	return c, models.Initialise(c, rng.New(1, "peer")), nil
}

// peerTurns encodes every turn of the first dialogues, candidates in the file's order.
func peerTurns(data string, dialogues int) ([]train.Turn, error) {
	t, err := tokenize.Load(filepath.Join(data, "roberta-tokenizer"))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(data, "convai2", "valid_self_original.txt")
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var turns []train.Turn
	for d, err := range convai2.Dialogues(file, path) {
		if err != nil {
			return nil, err
		}
		if d.Index == dialogues {
			break
		}
		samples, err := convai2.Samples(d)
		if err != nil {
			return nil, err
		}
		for _, s := range samples {
			batch, err := t.Turn(s.Context, s.Candidates, 0)
			if err != nil {
				return nil, err
			}
			turns = append(turns, train.Turn{Batch: batch, Gold: len(s.Candidates) - 1, Dialogue: s.Dialogue, Turn: s.Turn})
		}
	}
	return turns, nil
}

// Serve answers each line of in with one line of JSON, after a first line that says what is ready:
//
//	turn I   forward and, unless it scores, backward of turn I; gradients add up   s, tokens (real ones), rows, width, loss
//	step     one step of AdamW                                                     s
//	tokenize every text of the data's validation file, on one thread               s, tokens
//	gemm     the engine's own MatMul of [1500, 768] by [768, 3072]                 gflops
//	peak     the most memory that the process had resident so far                  rss_mb
func (p *Peer) Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	answers := json.NewEncoder(out)
	size := p.options.Size
	if p.options.Model != "" {
		size = p.options.Model
	}
	hello := map[string]any{"ready": true, "mode": p.options.Mode, "size": size, "pad": "chunk", "turns": len(p.turns), "weights": p.weights}
	if err := answers.Encode(hello); err != nil {
		return err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		answer, err := p.answer(ctx, strings.Fields(lines.Text()))
		if err != nil {
			answer = map[string]any{"error": err.Error()}
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
	}
	return nil
}

func (p *Peer) answer(ctx context.Context, words []string) (map[string]any, error) {
	switch {
	case len(words) == 2 && words[0] == "turn":
		i, err := strconv.Atoi(words[1])
		if err != nil || i < 0 {
			return nil, fmt.Errorf("no turn %q", words[1])
		}
		return p.turn(ctx, &p.turns[i%len(p.turns)])
	case len(words) == 1 && words[0] == "step":
		start := time.Now()
		if p.options.Mode != "eval" {
			if err := p.load.update(); err != nil {
				return nil, err
			}
		}
		return map[string]any{"s": time.Since(start).Seconds()}, nil
	case len(words) == 1 && words[0] == "tokenize":
		seconds, tokens, err := p.texts.encode()
		return map[string]any{"s": seconds, "tokens": tokens}, err
	case len(words) == 1 && words[0] == "gemm":
		rate, err := p.matMul()
		return map[string]any{"gflops": rate}, err
	case len(words) == 1 && words[0] == "peak":
		return map[string]any{"rss_mb": int(machine.Peak() >> 20)}, nil
	}
	return nil, fmt.Errorf("unknown: %s", strings.Join(words, " "))
}

func (p *Peer) turn(ctx context.Context, t *train.Turn) (map[string]any, error) {
	start := time.Now()
	loss, err := p.run(ctx, t)
	return map[string]any{"s": time.Since(start).Seconds(), "tokens": t.Tokens, "rows": t.Rows, "width": t.Length, "loss": loss}, err
}

// run is the work on one turn. Its loss is the mean over the turn's pairs.
func (p *Peer) run(ctx context.Context, t *train.Turn) (float64, error) {
	if p.options.Mode != "eval" {
		return p.load.engine.Accumulate(ctx, t, t.Rows, p.load.masks, p.load.set)
	}
	logits, err := p.load.engine.Logits(ctx, t.Batch, p.load.set)
	if err != nil {
		return 0, err
	}
	loss := 0.0
	for row := range t.Rows {
		label := 0
		if row == t.Gold {
			label = 1
		}
		a, b := float64(logits[2*row+label]), float64(logits[2*row+1-label])
		loss += math.Log1p(math.Exp(b-a)) / float64(t.Rows)
	}
	return loss, nil
}

// matMul is the rate of the engine's own product.
func (p *Peer) matMul() (float64, error) {
	if p.product == nil {
		var err error
		if p.product, err = newMatMul(1500, 768, 3072, p.options.Threads); err != nil {
			return 0, err
		}
	}
	return p.product.rate()
}

// Close ends the engine.
func (p *Peer) Close() {
	p.load.close()
	if p.product != nil {
		p.product.close()
	}
}
