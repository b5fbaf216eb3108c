package bench

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"metalora/models/safetensors"
	"metalora/pipeline/train"
)

// Piece is a measurement of something that is no step: medians where it was repeated.
type Piece struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Detail string  `json:"detail"`
}

// Pieces measures the optimiser, the tokenizer on the texts of data, and runs that mix ten adapters.
func Pieces(ctx context.Context, data string, threads int) ([]Piece, error) {
	optimiser, err := adamWPiece(125_000_000)
	if err != nil {
		return nil, fmt.Errorf("measuring the optimiser: %w", err)
	}
	tokenizer, err := tokenizerPiece(data)
	if err != nil {
		return nil, fmt.Errorf("measuring the tokenizer: %w", err)
	}
	mix, err := mixPiece(ctx, "minilm", 10, 2, 48, threads)
	if err != nil {
		return nil, fmt.Errorf("measuring mixed adapters: %w", err)
	}
	return []Piece{optimiser, tokenizer, mix}, nil
}

// adamWPiece compares a step of the optimiser over n weights, the check of the gradients' norm included, with moving the bytes
// of AdamW alone, four arrays read and written, by copies on all cores.
func adamWPiece(n int) (Piece, error) {
	const parts = 25 // weights of a model's sizes
	tensors := safetensors.Tensors{}
	run := &train.Run{Tasks: []train.Task{{}}, AdamW: train.DefaultAdamW, Plan: train.Plan{{}}, Schedule: train.OverRun(5e-5, 0, 1)}
	for i := range parts {
		name := fmt.Sprintf("weight %02d", i)
		tensors[name] = safetensors.Tensor{Shape: []int{n / parts}, Data: make([]float32, n/parts)}
		run.Trained = append(run.Trained, name)
	}
	var err error
	if run.Shared, err = train.NewSet(tensors, nil); err != nil {
		return Piece{}, err
	}
	defer run.Shared.Close()
	from, to := make([]float32, n), make([]float32, n)
	var steps, streams, ratios []float64
	for i := range 8 {
		stream, _ := timed(func() error { train.Stream(to, from, 4); return nil })
		step, err := timed(func() error { _, err := run.Update(0); return err })
		if err != nil {
			return Piece{}, err
		}
		if i > 0 { // the first touches fresh memory
			steps, streams, ratios = append(steps, step), append(streams, stream), append(ratios, step/stream)
		}
	}
	return Piece{"AdamW over 125 M weights", quantile(ratios, 0.5), "times streaming its bytes",
		fmt.Sprintf("quartiles %.2f–%.2f; %.3f s beside %.3f s", quantile(ratios, 0.25), quantile(ratios, 0.75), quantile(steps, 0.5), quantile(streams, 0.5))}, nil
}

func tokenizerPiece(data string) (Piece, error) {
	c := corpus{data: data}
	first, tokens, err := c.encode()
	if err != nil {
		return Piece{}, err
	}
	var seconds []float64
	for range 5 {
		again, _, err := c.encode()
		if err != nil {
			return Piece{}, err
		}
		seconds = append(seconds, again)
	}
	rate := float64(tokens) / quantile(seconds, 0.5)
	return Piece{"tokenizer, one thread, the validation file's texts", rate, "tokens/s", fmt.Sprintf("%d tokens; the first time %.0f", tokens, float64(tokens)/first)}, nil
}

// WritePieces prints pieces as a Markdown table.
func WritePieces(w io.Writer, pieces []Piece) error {
	out := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprintln(out, "| what\t| measured\t| detail\t|\n|---\t|---\t|---\t|")
	for _, p := range pieces {
		value := fmt.Sprintf("%.0f", p.Value)
		if p.Value < 100 {
			value = fmt.Sprintf("%.2f", p.Value)
		}
		fmt.Fprintf(out, "| %s\t| %s %s\t| %s\t|\n", p.Name, value, p.Unit, p.Detail)
	}
	return out.Flush()
}
