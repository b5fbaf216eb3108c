package train

import (
	"math"
	"testing"

	"metalora/pipeline/rng"
)

// TestAdamWIsItsFormula walks 50 steps beside the update written out in float64.
func TestAdamWIsItsFormula(t *testing.T) {
	const n = 2*adamChunk + 5 // more than one piece, and a rest
	s := rng.New(1)
	p := &Param{Value: make([]float32, n)}
	value, m, v := make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range p.Value {
		p.Value[i] = float32(s.Normal())
		value[i] = float64(p.Value[i])
	}
	o := DefaultAdamW
	for step := 1; step <= 50; step++ {
		rate := 1e-3 * float64(step%7)
		for i := range p.gradient() {
			g := float64(float32(s.Uniform(1)))
			p.grad[i] = float32(g)
			value[i] *= 1 - rate*o.WeightDecay
			m[i] = o.Beta1*m[i] + (1-o.Beta1)*g
			v[i] = o.Beta2*v[i] + (1-o.Beta2)*g*g
			mhat, vhat := m[i]/(1-math.Pow(o.Beta1, float64(step))), v[i]/(1-math.Pow(o.Beta2, float64(step)))
			value[i] -= rate * mhat / (math.Sqrt(vhat) + o.Epsilon)
		}
		o.Step([]*Param{p}, rate)
	}
	for i := range value {
		if math.Abs(value[i]-float64(p.Value[i])) > 1e-5 {
			t.Fatalf("weight %d: %v, want %v", i, p.Value[i], value[i])
		}
		if p.grad[i] != 0 {
			t.Fatalf("gradient %d is %v after the step, want 0", i, p.grad[i])
		}
	}
}

// A weight that sits steps out keeps its value, its moments and its own count.
func TestAdamWCountsAWeightsOwnSteps(t *testing.T) {
	often, seldom := &Param{Value: []float32{1}}, &Param{Value: []float32{1}}
	alone := &Param{Value: []float32{1}}
	for step := range 6 {
		often.gradient()[0], seldom.gradient()[0], alone.gradient()[0] = 0.3, 0.3, 0.3
		if step%3 == 0 {
			DefaultAdamW.Step([]*Param{often, seldom}, 0.01)
			DefaultAdamW.Step([]*Param{alone}, 0.01)
			continue
		}
		seldom.grad[0] = 0
		DefaultAdamW.Step([]*Param{often}, 0.01)
	}
	if seldom.Value[0] != alone.Value[0] || seldom.steps != 2 {
		t.Errorf("sat out four of six steps: %v after %d steps, want %v after 2", seldom.Value[0], seldom.steps, alone.Value[0])
	}
}

// BenchmarkAdamW reports bytes over time: seven float32 streams a weight (four read, three of them and the zeroed gradient written).
func BenchmarkAdamW(b *testing.B) {
	p := &Param{Value: make([]float32, 1<<24)}
	p.gradient()
	b.SetBytes(8 * 4 << 24)
	for b.Loop() {
		DefaultAdamW.Step([]*Param{p}, 1e-5)
	}
}
