package onnx

import (
	"math"
	"testing"
)

func TestNumber(t *testing.T) {
	a, b, n := symbolic("a"), symbolic("b"), constant
	cases := []struct {
		name string
		got  number
		want string // "" is unknown
	}{
		{"zero", n(0), "0"},
		{"product sorts", b.times(a), "a*b"},
		{"coefficient first", a.times(n(3)).times(b), "3*a*b"},
		{"sum", b.plus(n(2)).plus(a), "a + b + 2"},
		{"difference", a.minus(n(1)), "a - 1"},
		{"cancels", a.plus(b).minus(a), "b"},
		{"nothing left", a.minus(a), "0"},
		{"distributes", a.plus(n(1)).times(b.plus(n(1))), "a + a*b + b + 1"},
		{"divides", a.times(b).times(n(6)).over(b.times(n(2))), "3*a"},
		{"divides a sum", a.times(n(4)).plus(n(2)).over(n(2)), "2*a + 1"},
		{"does not divide", a.over(n(2)), ""},
		{"does not divide by a symbol", a.over(b), ""},
		{"rounds plain integers toward zero", n(-7).over(n(2)), "-3"},
		{"by zero", a.over(n(0)), ""},
		{"unknown spreads", a.times(nil).plus(n(1)), ""},
		{"times zero", a.times(n(0)), "0"},
		{"too large a product", n(math.MaxInt64).times(n(2)), ""},
		{"too large a sum", n(math.MaxInt64).plus(n(1)), ""},
		{"too large a quotient", n(math.MinInt64).over(n(-1)), ""},
		{"least integer", n(math.MinInt64), "-9223372036854775808"},
		{"reads a product", symbolic("rows*length"), "length*rows"},
		{"reads a sum", symbolic("past+2*b - c + 1"), "2*b - c + past + 1"},
		{"hyphen is part of a name", symbolic("seq-len"), "seq-len"},
		{"brackets are opaque", symbolic("floor(a*b)"), "floor(a*b)"},
		{"broken sums are names", symbolic("a++b"), "a++b"},
		{"sizes are no symbols", symbolic("12"), ""},
		{"no name", symbolic(""), ""},
	}
	for _, c := range cases {
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
