package onnx

import (
	"cmp"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// number is an integer as far as it is known before the model runs: a polynomial in the symbols of the graph's
// dimensions, so that rows*length divided by length is rows again. nil means that nothing is known.
// Terms are sorted by their symbols, the constant last, and none is zero: the number 0 has no terms, but is not nil.
type number []term

// term is coef times a product of symbols, which are sorted.
type term struct {
	coef    int64
	symbols []string
}

// These bound what a graph of a stranger can make of a few additions and multiplications.
const (
	maxTerms = 16
	maxName  = 1000
)

// compareTerms orders the terms of a sum.
func compareTerms(a, b term) int {
	if len(a.symbols) == 0 || len(b.symbols) == 0 {
		return cmp.Compare(len(b.symbols), len(a.symbols))
	}
	return slices.Compare(a.symbols, b.symbols)
}

func constant(i int64) number {
	if i == 0 {
		return number{}
	}
	return number{{coef: i}}
}

// symbolic is the number that a dimension's name stands for: a symbol, or sums and products of symbols as String writes
// them ("length*rows", "past + 1"). A name with brackets is one symbol, whatever it says.
func symbolic(name string) number {
	if _, err := strconv.ParseInt(name, 10, 64); err == nil || name == "" || len(name) > maxName {
		return nil // a size disguised as a symbol means what its exporter thinks, not this size
	}
	atom := number{{1, []string{name}}}
	if strings.ContainsAny(name, "()[]/") {
		return atom
	}
	sum := number{}
	for i, part := range strings.Split(name, " - ") {
		for j, piece := range strings.Split(part, "+") {
			product := parseProduct(piece)
			if product == nil {
				return atom
			}
			if i > 0 && j == 0 {
				product = product.times(constant(-1))
			}
			sum = sum.plus(product)
		}
	}
	if sum == nil {
		return atom
	}
	return sum
}

func parseProduct(s string) number {
	product := constant(1)
	for factor := range strings.SplitSeq(s, "*") {
		factor = strings.TrimSpace(factor)
		if factor == "" || strings.HasPrefix(factor, "- ") || strings.HasSuffix(factor, " -") {
			return nil // beside another term its hyphen would read as a minus
		}
		if i, err := strconv.ParseInt(factor, 10, 64); err == nil {
			product = product.times(constant(i))
		} else {
			product = product.times(number{{1, []string{factor}}})
		}
	}
	return product
}

// value is the number itself where it depends on no symbol.
func (n number) value() (int64, bool) {
	switch {
	case n == nil || len(n) > 1:
		return 0, false
	case len(n) == 0:
		return 0, true
	}
	return n[0].coef, len(n[0].symbols) == 0
}

// is reports whether the number is known to be i.
func (n number) is(i int64) bool {
	v, ok := n.value()
	return ok && v == i
}

func (n number) equal(m number) bool {
	return n != nil && m != nil && slices.EqualFunc(n, m, func(a, b term) bool {
		return a.coef == b.coef && slices.Equal(a.symbols, b.symbols)
	})
}

// natural reports whether the number can't be negative, since symbols can't.
func (n number) natural() bool {
	return n != nil && !slices.ContainsFunc(n, func(t term) bool { return t.coef < 0 })
}

// differs reports whether two numbers can't be equal.
func (n number) differs(m number) bool {
	if d, ok := n.minus(m).value(); ok {
		return d != 0
	}
	nv, nok := n.value()
	mv, mok := m.value()
	return nok && nv < 0 && m.natural() || mok && mv < 0 && n.natural()
}

func (n number) plus(m number) number {
	if n == nil || m == nil {
		return nil
	}
	sum := slices.Clone(n)
	for _, t := range m {
		i, found := slices.BinarySearchFunc(sum, t, compareTerms)
		if !found {
			sum = slices.Insert(sum, i, t)
			continue
		}
		c := sum[i].coef + t.coef
		switch {
		case (c > sum[i].coef) != (t.coef > 0):
			return nil // beyond int64
		case c == 0:
			sum = slices.Delete(sum, i, i+1)
		default:
			sum[i].coef = c
		}
	}
	return sum.bounded()
}

// bounded gives up on numbers that became too long.
func (n number) bounded() number {
	if len(n) > maxTerms {
		return nil
	}
	if n == nil {
		return number{}
	}
	return n
}

func (n number) minus(m number) number { return n.plus(m.times(constant(-1))) }

func (n number) times(m number) number {
	if n == nil || m == nil {
		return nil
	}
	product := number{}
	for _, a := range n {
		for _, b := range m {
			c, ok := multiply(a.coef, b.coef)
			if !ok || len(a.symbols)+len(b.symbols) > maxTerms {
				return nil
			}
			symbols := slices.Concat(a.symbols, b.symbols)
			slices.Sort(symbols)
			if product = product.plus(number{{c, symbols}}); product == nil {
				return nil
			}
		}
	}
	return product
}

// multiply is a*b, and whether that is an int64.
func multiply(a, b int64) (int64, bool) {
	hi, lo := bits.Mul64(magnitude(a), magnitude(b))
	if hi != 0 || lo >= 1<<63 {
		return 0, false
	}
	if (a < 0) != (b < 0) {
		return -int64(lo), true
	}
	return int64(lo), true
}

func magnitude(a int64) uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}

// over is the quotient where the division leaves no remainder whatever the symbols are, else unknown.
// Two plain integers are divided as ONNX does, toward zero.
func (n number) over(m number) number {
	if n == nil || len(m) != 1 {
		return nil
	}
	if a, ok := n.value(); ok && len(m[0].symbols) == 0 {
		if m[0].coef == -1 {
			return n.times(m) // the one quotient that can be too large
		}
		return constant(a / m[0].coef)
	}
	quotient := number{}
	for _, t := range n {
		symbols, ok := without(t.symbols, m[0].symbols)
		if !ok || t.coef%m[0].coef != 0 {
			return nil
		}
		quotient = quotient.plus(number{{t.coef / m[0].coef, symbols}})
	}
	return quotient
}

// without removes each of some once from all, and says whether all had them.
func without(all, some []string) ([]string, bool) {
	rest := slices.Clone(all)
	for _, s := range some {
		i := slices.Index(rest, s)
		if i < 0 {
			return nil, false
		}
		rest = slices.Delete(rest, i, i+1)
	}
	return rest, true
}

// String is the canonical name of a number, with sorted symbols: "length*rows", "2*length", "past + 1". Unknown is "".
func (n number) String() string {
	if n == nil {
		return ""
	}
	if len(n) == 0 {
		return "0"
	}
	var s strings.Builder
	for i, t := range n {
		c := t.coef
		switch {
		case i > 0 && c < 0:
			s.WriteString(" - ")
			c = -c
		case i > 0:
			s.WriteString(" + ")
		}
		factors := t.symbols
		if c != 1 || len(t.symbols) == 0 {
			factors = append([]string{strconv.FormatInt(c, 10)}, t.symbols...)
		}
		s.WriteString(strings.Join(factors, "*"))
	}
	return s.String()
}

// dim is the number as a dimension, which is unknown where the number is unknown or negative.
func (n number) dim() Dim {
	if v, ok := n.value(); ok {
		return Dim{Size: max(v, -1)}
	}
	name := n.String()
	if len(name) > maxName {
		name = ""
	}
	return Dim{Size: -1, Name: name}
}

// number is the dimension as a number.
func (d Dim) number() number {
	if d.Size >= 0 {
		return constant(d.Size)
	}
	return symbolic(d.Name)
}

// product multiplies all dimensions.
func (s Shape) product() number {
	if s == nil {
		return nil
	}
	p := constant(1)
	for _, d := range s {
		p = p.times(d.number())
	}
	return p
}
