package onnx

import (
	"fmt"
	"math"
	"slices"
)

// concat: inputs one after the other along an axis; all other dimensions are shared.
func concat(s *site) error {
	s.set(0, s.dtype(0), nil)
	if err := s.oneType(0, len(s.Inputs)); err != nil || len(s.Inputs) == 0 {
		return err
	}
	out := slices.Clone(s.shape(0))
	if out == nil {
		return nil
	}
	a, err := axis(s.Int("axis", 0), len(out))
	if err != nil {
		return err
	}
	sum := constant(0)
	for i, name := range s.Inputs {
		x := s.shape(i)
		if x == nil {
			return nil
		}
		if len(x) != len(out) {
			return fmt.Errorf("%q of shape %v does not join %v", name, x, out)
		}
		sum = sum.plus(x[a].number())
		for j, d := range x {
			var ok bool
			if out[j], ok = sameDim(out[j], d); !ok && j != a {
				return fmt.Errorf("%q of shape %v does not join %v along axis %d", name, x, s.shape(0), a)
			}
		}
	}
	out[a] = sum.dim()
	s.set(0, s.dtype(0), out)
	if len(out) == 1 {
		s.setNumbers(s.joined())
	}
	return nil
}

// joined is the elements of all inputs, unknown ones included as far as they can be counted.
func (s *site) joined() []number {
	all := []number{}
	for i := range s.Inputs {
		ns := s.numbers(i)
		if n := s.shape(i)[0].Size; ns == nil && n >= 0 && n <= maxInts {
			ns = make([]number, n)
		} else if ns == nil {
			return nil
		}
		if all = append(all, ns...); len(all) > maxInts {
			return nil
		}
	}
	return all
}

// split: pieces along an axis: of given lengths, or as many equal ones as there are outputs (the last may be shorter).
func split(s *site) error {
	x := s.shape(0)
	for i := range s.Outputs {
		s.set(i, s.dtype(0), nil)
	}
	if x == nil {
		return nil
	}
	a, err := axis(s.Int("axis", 0), len(x))
	if err != nil {
		return err
	}
	lengths, given, known := s.list("split", 1)
	if given && known && len(lengths) != len(s.Outputs) {
		return fmt.Errorf("%d lengths for %d outputs", len(lengths), len(s.Outputs))
	}
	offset := 0
	for i := range s.Outputs {
		piece := slices.Clone(x)
		switch {
		case given && known:
			piece[a] = Dim{Size: max(lengths[i], -1)}
		case given:
			piece[a] = Dim{Size: -1}
		default:
			piece[a] = equalPiece(x[a], i, len(s.Outputs))
		}
		s.set(i, s.dtype(0), piece)
		s.splitNumbers(i, x, piece[a].Size, &offset)
	}
	return nil
}

func equalPiece(d Dim, i, pieces int) Dim {
	if d.Size < 0 {
		return d.number().over(constant(int64(pieces))).dim()
	}
	n := d.Size / int64(pieces)
	if d.Size%int64(pieces) != 0 {
		n++
	}
	return Dim{Size: max(min(n, d.Size-int64(i)*n), 0)}
}

// splitNumbers hands the known elements of a vector on to output i.
func (s *site) splitNumbers(i int, x Shape, n int64, offset *int) {
	ns := s.numbers(0)
	if len(x) != 1 || n < 0 || n > int64(len(ns)-*offset) {
		*offset = len(ns)
		return
	}
	if name := s.Output(i); name != "" && ns != nil {
		s.ints[name] = ns[*offset : *offset+int(n)]
	}
	*offset += int(n)
}

// slice: from starts to ends in steps along the given axes (attributes before opset 10, inputs since).
func slice(s *site) error {
	x := s.shape(0)
	s.set(0, s.dtype(0), unknownLike(x))
	starts, ends := s.numbersOr(1, "starts"), s.numbersOr(2, "ends")
	axes, _, axesKnown := s.list("axes", 3)
	steps, stepsKnown := s.optionalInts(4)
	if x == nil || starts == nil || ends == nil || !axesKnown || !stepsKnown {
		return nil
	}
	if axes == nil {
		for i := range starts {
			axes = append(axes, int64(i))
		}
	}
	if steps == nil {
		steps = slices.Repeat([]int64{1}, len(starts))
	}
	if _, err := axesOf(axes, len(x)); err != nil {
		return err
	}
	if len(ends) != len(starts) || len(axes) != len(starts) || len(steps) != len(starts) {
		return fmt.Errorf("%d starts, %d ends, %d axes, %d steps", len(starts), len(ends), len(axes), len(steps))
	}
	out := slices.Clone(x)
	for i, a := range axes {
		j, _ := axis(a, len(x)) // checked above
		if steps[i] == 0 {
			return fmt.Errorf("a step of 0")
		}
		out[j] = sliceLength(x[j].number(), starts[i], ends[i], steps[i]).dim()
	}
	s.set(0, s.dtype(0), out)
	if len(x) == 1 && len(axes) == 1 {
		s.setNumbers(sliced(s.numbers(0), starts[0], ends[0], steps[0]))
	}
	return nil
}

// numbersOr is the elements of input i, or an attribute of older operator sets.
func (s *site) numbersOr(i int, attr string) []number {
	if s.Attr(attr) == nil {
		return s.numbers(i)
	}
	ns := []number{}
	for _, v := range s.Ints(attr) {
		ns = append(ns, constant(v))
	}
	return ns
}

// sliceLength is the number of elements from start to end of n.
func sliceLength(n, start, end number, step int64) number {
	if size, from, to, ok := plain(n, start, end); ok {
		first, last := sliceBounds(size, from, to, step)
		return constant(stepsBetween(first, last, step))
	}
	if step == -1 && (start.is(-1) || past(start)) && before(end) {
		return n
	}
	if step != 1 {
		return nil
	}
	if past(end) || end.equal(n) {
		end = n
	} else if v, ok := end.value(); ok && v < 0 {
		end = n.plus(end)
	} else if start.is(0) && end.is(1) && n != nil {
		return end // the first of them: a dimension that has a symbol is not empty
	} else if _, fixed := n.value(); !fixed {
		return nil // the shorter of the two
	}
	if v, ok := start.value(); ok && v < 0 {
		start = n.plus(start)
	}
	if length := end.minus(start); length.natural() || start.natural() {
		return length
	}
	return nil
}

// past and before recognise the ends that exporters write for "to the end" and "down to the beginning".
func past(n number) bool   { v, ok := n.value(); return ok && v >= math.MaxInt32 }
func before(n number) bool { v, ok := n.value(); return ok && v <= math.MinInt32 }

func plain(n, start, end number) (size, from, to int64, ok bool) {
	size, a := n.value()
	from, b := start.value()
	to, c := end.value()
	return size, from, to, a && b && c
}

// sliceBounds is ONNX's reading of start and end for a dimension: negative ones count from the end, then both are
// brought into what the step can reach.
func sliceBounds(size, start, end, step int64) (first, last int64) {
	if start < 0 {
		start += size
	}
	if end < 0 && end >= -size {
		end += size
	} else if end < 0 {
		end = -1
	}
	if step > 0 {
		return min(max(start, 0), size), min(max(end, 0), size)
	}
	return min(max(start, -1), size-1), min(max(end, -1), size-1)
}

// stepsBetween counts first, first+step, … before last. Both are within a tensor's bounds, so nothing overflows.
func stepsBetween(first, last, step int64) int64 {
	distance := last - first
	if distance == 0 || (distance > 0) != (step > 0) {
		return 0
	}
	n := distance / step
	if distance%step != 0 {
		n++
	}
	return n
}

// sliced picks elements.
func sliced(ns []number, start, end number, step int64) []number {
	size, from, to, ok := plain(constant(int64(len(ns))), start, end)
	if !ok || ns == nil {
		return nil
	}
	first, last := sliceBounds(size, from, to, step)
	out := []number{}
	for i := range stepsBetween(first, last, step) {
		out = append(out, ns[first+i*step])
	}
	return out
}

// gather: the entries along an axis that the indices name: data[:axis] + indices + data[axis+1:].
func gather(s *site) error {
	data, indices := s.shape(0), s.shape(1)
	s.set(0, s.dtype(0), nil)
	if data == nil {
		return nil
	}
	a, err := axis(s.Int("axis", 0), len(data))
	if err != nil || indices == nil {
		return err
	}
	s.set(0, s.dtype(0), joinShapes(data[:a], indices, data[a+1:]))
	ns := s.numbers(0)
	if at, ok := s.inference.Ints(s.Input(1)); ok && len(data) == 1 && ns != nil {
		out := []number{}
		for _, i := range at {
			j, err := axis(i, len(ns))
			if err != nil {
				return fmt.Errorf("index %d into %d elements", i, len(ns))
			}
			out = append(out, ns[j])
		}
		s.setNumbers(out)
	}
	return nil
}

// gatherElements: one element for each index.
func gatherElements(s *site) error {
	s.set(0, s.dtype(0), s.shape(1))
	return nil
}

// gatherND: the last dimension of the indices is an address into the data after its batch dimensions.
func gatherND(s *site) error {
	data, indices, batch := s.shape(0), s.shape(1), s.Int("batch_dims", 0)
	s.set(0, s.dtype(0), nil)
	if data == nil || len(indices) == 0 {
		return nil
	}
	address := indices[len(indices)-1].Size
	if address < 0 {
		return nil
	}
	if batch < 0 || address > int64(len(data)) || batch > int64(len(data))-address {
		return fmt.Errorf("addresses of %d after %d batch dimensions into %v", address, batch, data)
	}
	s.set(0, s.dtype(0), joinShapes(indices[:len(indices)-1], data[batch+address:]))
	return nil
}

// topK: the k greatest along an axis and where they are.
func topK(s *site) error {
	x := slices.Clone(s.shape(0))
	if x != nil {
		a, err := axis(s.Int("axis", -1), len(x))
		if err != nil {
			return err
		}
		x[a] = Dim{Size: -1}
		if k := s.numbersOr(1, "k"); len(k) == 1 {
			x[a] = k[0].dim()
		}
	}
	s.set(0, s.dtype(0), x)
	s.set(1, Int64, x)
	return nil
}

// oneHot: a new axis of the given depth.
func oneHot(s *site) error {
	x := s.shape(0)
	s.set(0, s.dtype(2), nil)
	if x == nil {
		return nil
	}
	a, err := axis(s.Int("axis", -1), len(x)+1)
	if err != nil {
		return err
	}
	depth := Dim{Size: -1}
	if d := s.numbers(1); len(d) == 1 {
		depth = d[0].dim()
	}
	s.set(0, s.dtype(2), slices.Insert(slices.Clone(x), a, depth))
	return nil
}

// nonZero: the address of each element that is not zero, one a column.
func nonZero(s *site) error {
	out := unknown(2)
	if x := s.shape(0); x != nil {
		out[0] = Dim{Size: int64(len(x))}
	}
	s.set(0, Int64, out)
	return nil
}
