package autodiff

import (
	"flag"
	"math/rand/v2"
	"runtime/debug"
	"testing"

	"metalora/onnx"
	"metalora/onnx/kernels"
	"metalora/onnx/onnxtest"
)

var damages = flag.Int("damages", 40, "damaged graphs of each operator that TestDamaged differentiates")

// TestDamaged differentiates graphs of each operator in which a few things are not what programs write: nothing panics, and what is
// differentiated is well-formed.
func TestDamaged(t *testing.T) {
	passed, all := 0, 0
	for _, o := range sorted(generators) {
		for seed := range uint64(*damages) {
			c := generators[o].nth(o, seed%drawn)
			m, in, out := c.model(t, forms[seed%uint64(len(forms))])
			if differentiateDamaged(t, c.name, m, Request{Of: out, Wrt: in}, rand.New(rand.NewPCG(seed, 1))) {
				passed++
			}
			all++
		}
	}
	if passed == 0 || passed == all {
		t.Errorf("%d of %d damaged graphs were differentiated: too many or too few for a test of both ways", passed, all)
	}
}

// differentiateDamaged tells whether a damaged graph can be differentiated.
func differentiateDamaged(t *testing.T, name string, m *onnx.Model, r Request, random *rand.Rand) bool {
	t.Helper()
	m, what := onnxtest.Damaged(random, m)
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("%s: %s\n%v\n%s", name, what, p, debug.Stack())
		}
	}()
	full, _, err := Differentiate(m, r)
	if err != nil {
		return false
	}
	if err := full.Check(); err != nil {
		t.Errorf("%s: %s\nis differentiated into what is not well-formed: %v", name, what, err)
	}
	kernels.Lower(full)
	return true
}
