package onnx

import (
	"math"
	"testing"
)

var symA, symB = symbolic("a"), symbolic("b")

var numberCases = []struct {
	name string
	got  number
	want string // "" is unknown
}{
	{"zero", constant(0), "0"},
	{"product sorts", symB.times(symA), "a*b"},
	{"coefficient first", symA.times(constant(3)).times(symB), "3*a*b"},
	{"sum", symB.plus(constant(2)).plus(symA), "a + b + 2"},
	{"difference", symA.minus(constant(1)), "a - 1"},
	{"cancels", symA.plus(symB).minus(symA), "b"},
	{"nothing left", symA.minus(symA), "0"},
	{"distributes", symA.plus(constant(1)).times(symB.plus(constant(1))), "a + a*b + b + 1"},
	{"divides", symA.times(symB).times(constant(6)).over(symB.times(constant(2))), "3*a"},
	{"divides a sum", symA.times(constant(4)).plus(constant(2)).over(constant(2)), "2*a + 1"},
	{"does not divide", symA.over(constant(2)), ""},
	{"does not divide by a symbol", symA.over(symB), ""},
	{"rounds plain integers toward zero", constant(-7).over(constant(2)), "-3"},
	{"by zero", symA.over(constant(0)), ""},
	{"unknown spreads", symA.times(nil).plus(constant(1)), ""},
	{"times zero", symA.times(constant(0)), "0"},
	{"too large a product", constant(math.MaxInt64).times(constant(2)), ""},
	{"too large a sum", constant(math.MaxInt64).plus(constant(1)), ""},
	{"too large a quotient", constant(math.MinInt64).over(constant(-1)), ""},
	{"least integer", constant(math.MinInt64), "-9223372036854775808"},
	{"reads a product", symbolic("rows*length"), "length*rows"},
	{"reads a sum", symbolic("past+2*b - c + 1"), "2*b - c + past + 1"},
	{"hyphen is part of a name", symbolic("seq-len"), "seq-len"},
	{"brackets are opaque", symbolic("floor(a*b)"), "floor(a*b)"},
	{"broken sums are names", symbolic("a++b"), "a++b"},
	{"minus at an end is no minus", symbolic("b - 1 - a -"), "b - 1 - a -"},
	{"sizes are no symbols", symbolic("12"), ""},
	{"no name", symbolic(""), ""},
}

func TestNumber(t *testing.T) {
	for _, c := range numberCases {
		t.Run(c.name, func(t *testing.T) {
			if got := c.got.String(); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestNumberBounds: a number that would grow without end becomes unknown.
func TestNumberBounds(t *testing.T) {
	sum, power := constant(0), constant(1)
	for i := range 40 {
		sum = sum.plus(symbolic(string(rune('a'+i%26)) + string(rune('a'+i/26))))
		power = power.times(symbolic("x"))
	}
	if sum != nil || power != nil {
		t.Errorf("%v and %v, want unknown", sum, power)
	}
}

func TestDiffers(t *testing.T) {
	a := symbolic("a")
	cases := []struct {
		name string
		a, b number
		want bool
	}{
		{"sizes", constant(1), constant(2), true},
		{"equal sizes", constant(1), constant(1), false},
		{"a symbol is not negative", a, constant(-1), true},
		{"a symbol may be anything else", a, constant(1), false},
		{"one more than itself", a.plus(constant(1)), a, true},
		{"symbols", a, symbolic("b"), false},
		{"a difference may be negative", a.minus(symbolic("b")), constant(-1), false},
		{"unknown", nil, constant(-1), false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.a.differs(c.b) != c.want || c.b.differs(c.a) != c.want {
				t.Errorf("%v, want %v", !c.want, c.want)
			}
		})
	}
}

// FuzzSymbolic: the canonical name of what a name means is stable.
func FuzzSymbolic(f *testing.F) {
	for _, s := range []string{"rows*length", "past + 1", "a - 2*b", "floor(x)", "", "12", "a++b", " - a", "0*a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		d := symbolic(name).dim()
		if again := d.number().dim(); again != d {
			t.Errorf("%q means %v, which means %v", name, d, again)
		}
	})
}
