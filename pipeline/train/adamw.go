package train

import (
	"math"
	"runtime"
	"sync"
)

// AdamW is the optimiser of Loshchilov and Hutter, "Decoupled weight decay regularization" (2019), as PyTorch has it:
//
//	p ← p·(1 - rate·decay)
//	m ← β1·m + (1-β1)·g,  v ← β2·v + (1-β2)·g²
//	p ← p - rate/(1-β1^t) · m / (√v/√(1-β2^t) + ε)
//
// t counts a weight's own steps: a weight without a gradient in some step (another task's adapter) is left alone there.
type AdamW struct {
	Beta1, Beta2, Epsilon, WeightDecay float64
}

// DefaultAdamW has PyTorch's settings, which are the experiment's.
var DefaultAdamW = AdamW{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 0.01}

// adamChunk is how many weights one goroutine takes at a time: 64 Ki of four arrays are 1 MiB, about a core's cache.
const adamChunk = 1 << 16

// Step moves every weight by its gradient at the given rate and sets the gradients back to zero.
func (o AdamW) Step(params []*Param, rate float64) {
	var work []func()
	for _, p := range params {
		work = append(work, o.chunks(p, rate)...)
	}
	parallel(work)
}

// chunks is one step of one weight as independent pieces.
func (o AdamW) chunks(p *Param, rate float64) []func() {
	if p.m == nil {
		p.m, p.v = make([]float32, len(p.Value)), make([]float32, len(p.Value))
	}
	p.steps++
	k := o.coefficients(p.steps, rate)
	var pieces []func()
	for lo := 0; lo < len(p.Value); lo += adamChunk {
		hi := min(lo+adamChunk, len(p.Value))
		pieces = append(pieces, func() { k.update(p.Value[lo:hi], p.grad[lo:hi], p.m[lo:hi], p.v[lo:hi]) })
	}
	return pieces
}

// coefficients are the numbers of one step, computed in float64 as PyTorch does and then rounded once.
type coefficients struct {
	keep, b1, c1, b2, c2, eps, size, scale float32
}

func (o AdamW) coefficients(t int, rate float64) coefficients {
	return coefficients{
		keep: float32(1 - rate*o.WeightDecay),
		b1:   float32(o.Beta1), c1: float32(1 - o.Beta1),
		b2: float32(o.Beta2), c2: float32(1 - o.Beta2),
		eps:   float32(o.Epsilon),
		size:  float32(rate / (1 - math.Pow(o.Beta1, float64(t)))),
		scale: float32(1 / math.Sqrt(1-math.Pow(o.Beta2, float64(t)))),
	}
}

// update is one pass over a piece: all slices have its length; the gradient is zeroed on the way.
func (k *coefficients) update(p, g, m, v []float32) {
	g, m, v = g[:len(p)], m[:len(p)], v[:len(p)]
	done := k.wide(p, g, m, v)
	k.each(p[done:], g[done:], m[done:], v[done:])
}

// each is update one weight at a time.
func (k *coefficients) each(p, g, m, v []float32) {
	g, m, v = g[:len(p)], m[:len(p)], v[:len(p)]
	for i, gi := range g {
		mi := k.b1*m[i] + k.c1*gi
		vi := k.b2*v[i] + k.c2*gi*gi
		root := float32(math.Sqrt(float64(vi)))
		p[i] = p[i]*k.keep - k.size*mi/(root*k.scale+k.eps)
		m[i], v[i], g[i] = mi, vi, 0
	}
}

// Stream copies from to to a number of times, on the cores and in the pieces of a step of the optimiser: what moving that many
// bytes takes where nothing is computed.
func Stream(to, from []float32, times int) {
	var pieces []func()
	for lo := 0; lo < len(from); lo += adamChunk {
		hi := min(lo+adamChunk, len(from))
		pieces = append(pieces, func() { copy(to[lo:hi], from[lo:hi]) })
	}
	for range times {
		parallel(pieces)
	}
}

// parallel runs the pieces on all cores and returns when the last is done.
func parallel(pieces []func()) {
	if len(pieces) == 1 {
		pieces[0]()
		return
	}
	next := make(chan func())
	var group sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(pieces)) {
		group.Go(func() {
			for piece := range next {
				piece()
			}
		})
	}
	for _, piece := range pieces {
		next <- piece
	}
	close(next)
	group.Wait()
}
