package onnx

import "strconv"

// dropoutPrefix stands before a site in the name of its mask input, and of its rate in the model's metadata.
const dropoutPrefix = "dropout::"

// Dropout returns x with the elements zeroed that a mask drops and the others divided by 1 - rate. The mask is an input
// of the graph, named "dropout::SITE" and of shape dims (x's own): 1 keeps an element and 0 drops it.
// A rate of 0 is x itself, without an input.
func (b *Builder) Dropout(x, site string, rate float64, dims ...any) string {
	if rate == 0 {
		return x
	}
	mask := b.Input(dropoutPrefix+site, Bool, dims...)
	leave := b.Scope(site)
	defer leave()
	kept := b.Op("Cast", []string{mask}, IntAttr("to", int64(Float)))
	return b.Op("Mul", []string{x, b.Op("Mul", []string{kept, b.Scalar(float32(1 / (1 - rate)))})})
}

// SetDropoutRate records the rate of a site, which whoever draws the masks needs to know.
func (m *Model) SetDropoutRate(site string, rate float64) {
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
