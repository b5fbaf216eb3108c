package onnx

import (
	"fmt"
	"slices"
	"strings"
)

// einsum: the labels of the result name its dimensions, the ellipsis those that the operands broadcast.
func einsum(s *site) error {
	s.set(0, s.dtype(0), nil)
	a := s.Attr("equation")
	if a == nil {
		return fmt.Errorf("it has no equation")
	}
	left, result, explicit := strings.Cut(strings.ReplaceAll(a.S, " ", ""), "->")
	operands := strings.Split(left, ",")
	if len(operands) != len(s.Inputs) {
		return fmt.Errorf("%d operands in %q, but %d inputs", len(operands), a.S, len(s.Inputs))
	}
	if !explicit {
		result = implicitResult(left)
	}
	sizes, dots := map[rune]Dim{}, Shape{}
	for i, operand := range operands {
		var err error
		if dots, err = s.einsumSizes(i, operand, sizes, dots); err != nil {
			return err
		}
	}
	before, after, ellipsis := strings.Cut(result, "...")
	if ellipsis && dots == nil {
		return nil
	}
	if !ellipsis {
		dots = nil
	}
	s.set(0, s.dtype(0), joinShapes(labelled(before, sizes), dots, labelled(after, sizes)))
	return nil
}

// einsumSizes notes the sizes of an operand's labels and broadcasts what its ellipsis stands for with the dots of others,
// nil where that is not known.
func (s *site) einsumSizes(i int, operand string, sizes map[rune]Dim, dots Shape) (Shape, error) {
	x := s.shape(i)
	before, after, ellipsis := strings.Cut(operand, "...")
	if x == nil && ellipsis {
		return nil, nil
	}
	if x == nil {
		return dots, nil
	}
	open := len(x) - len(before) - len(after)
	if open < 0 || open > 0 && !ellipsis {
		return nil, fmt.Errorf("%q of shape %v is not %q", s.Input(i), x, operand)
	}
	for j, label := range []rune(before + after) {
		d := slices.Concat(x[:len(before)], x[len(before)+open:])[j]
		if known, ok := sizes[label]; ok {
			if d, ok = broadcastDim(known, d); !ok {
				return nil, fmt.Errorf("%q of shape %v: label %c is %v elsewhere", s.Input(i), x, label, known)
			}
		}
		sizes[label] = d
	}
	if dots == nil || !ellipsis {
		return dots, nil
	}
	return broadcast(dots, x[len(before):len(before)+open])
}

// implicitResult is the result where none is written: the ellipsis, then the labels that occur once, in order.
func implicitResult(operands string) string {
	result := ""
	if strings.Contains(operands, "...") {
		result = "..."
	}
	for _, label := range slices.Sorted(slices.Values([]rune(operands))) {
		if label != '.' && label != ',' && strings.Count(operands, string(label)) == 1 {
			result += string(label)
		}
	}
	return result
}

func labelled(labels string, sizes map[rune]Dim) Shape {
	shape := Shape{}
	for _, label := range labels {
		d, known := sizes[label]
		if !known {
			d = Dim{Size: -1}
		}
		shape = append(shape, d)
	}
	return shape
}

// det: one number for each square matrix in the last two dimensions.
func det(s *site) error {
	x := s.shape(0)
	s.set(0, s.dtype(0), nil)
	if x == nil {
		return nil
	}
	if len(x) < 2 {
		return fmt.Errorf("%v is no matrix", x)
	}
	if _, ok := sameDim(x[len(x)-2], x[len(x)-1]); !ok {
		return fmt.Errorf("%v is not square", x)
	}
	s.set(0, s.dtype(0), slices.Clone(x[:len(x)-2]))
	return nil
}

// loss: scores [rows, classes, ...] and labels [rows, ...] -> a number, or one for each label; then the log-probabilities.
func loss(s *site) error {
	shape := Shape{}
	if a := s.Attr("reduction"); a != nil && a.S == "none" {
		shape = s.shape(1)
	}
	s.set(0, s.dtype(0), shape)
	s.set(1, s.dtype(0), s.shape(0))
	return nil
}
