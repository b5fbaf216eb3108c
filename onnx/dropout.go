package onnx

import "strconv"

// What stands before a site in the name of its mask input and of its rate in the model's metadata, and before that name in
// the metadata of a mask for first tokens.
const (
	dropoutPrefix = "dropout::"
	firstPrefix   = "first::"
)

// Drop returns x with the elements zeroed that a mask drops, and records the site's rate, which whoever draws the masks
// needs to know. The mask is an input of the graph, named "dropout::SITE" and of shape dims (x's own): 1 keeps an element
// and 0 drops it. Dropout multiplies what is kept by 1/(1 - rate): that factor is left to the caller, since most makers or
// readers of x have a place for it that costs no pass over x.
//
// Cast(mask) is made once for the product with x and again for the product with dy in a gradient. BenchmarkDropout compares
// forms, forward and backward at [2000, 768] and [2000, 3072] on two threads that other work shared, best of 100 runs, three
// rounds: Where(mask, x, 0) took 1.8 to 3.2 times as long in each round; DequantizeLinear of a uint8 mask 0.7 to 1.4 times,
// which shows no difference; a mask of floats 0.3 to 1.0 times, but whoever draws it then writes four times the bytes.
func (m *Model) Drop(b *Builder, x, site string, rate float64, dims ...any) string {
	m.setDropoutRate(site, rate)
	mask := b.Input(dropoutPrefix+site, Bool, dims...)
	leave := b.Scope(site)
	defer leave()
	return b.Op("Mul", []string{x, b.Op("Cast", []string{mask}, IntAttr("to", int64(Float)))})
}

// DropFirst is Drop where a graph computes only the first of a row's tokens. dims are x's, and axis is the last one before
// those of a single token: the tokens' own, of size 1, or the rows' where x has no other. The mask is what a mask of all
// tokens has for the first ones, so that a graph that computes all of them trains alike.
func (m *Model) DropFirst(b *Builder, x, site string, rate float64, axis int, dims ...any) string {
	y := m.Drop(b, x, site, rate, dims...)
	m.Metadata[firstPrefix+dropoutPrefix+site] = strconv.Itoa(axis)
	return y
}

// Dropout is Drop with its factor: x/(1 - rate) where the mask keeps it, else 0.
func (m *Model) Dropout(b *Builder, x, site string, rate float64, dims ...any) string {
	return b.Op("Mul", []string{m.Drop(b, x, site, rate, dims...), b.Scalar(float32(1 / (1 - rate)))})
}

func (m *Model) setDropoutRate(site string, rate float64) {
	if m.Metadata == nil {
		m.Metadata = map[string]string{}
	}
	m.Metadata[dropoutPrefix+site] = strconv.FormatFloat(rate, 'g', -1, 64)
}

// DropoutRate is the rate recorded for an input; 0 where the input is no dropout mask.
func DropoutRate(m *Model, input string) float64 {
	rate, err := strconv.ParseFloat(m.Metadata[input], 64)
	if err != nil || !(rate > 0 && rate < 1) {
		return 0
	}
	return rate
}

// DropoutFirst is the axis that [Model.DropFirst] recorded for a mask, or -1 for the mask of all tokens.
func DropoutFirst(m *Model, input string) int {
	axis, err := strconv.Atoi(m.Metadata[firstPrefix+input])
	if err != nil {
		return -1
	}
	return axis
}
