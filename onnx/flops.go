package onnx

import "fmt"

// NodeFlops counts the floating-point operations of the matrix products that a node computes, 2·m·n·k each. values has the
// types and shapes of what the node reads and makes, without symbols; a size that it lacks and that is needed is an error.
//
// Operators of package kernels count the products of the plain nodes that they stand for. So sums of rows, which a plain graph
// writes as products with a row of ones, count 2 for each element, and AttentionGrad does not count the one product that it
// computes a second time, since a plain graph keeps it.
func NodeFlops(n *Node, values map[string]ValueInfo) (int64, error) {
	s := &sizing{n: n, values: values}
	count := int64(0)
	switch n.Domain {
	case "", microsoft:
		count = s.product()
	case ours:
		count = s.ofKernels()
	}
	if s.err != nil {
		return 0, fmt.Errorf("node %s: %w", n.Name, s.err)
	}
	return count, nil
}

// sizing looks up sizes of what a node reads and makes. The first that is not known is its error.
type sizing struct {
	n      *Node
	values map[string]ValueInfo
	err    error
}

func (s *sizing) fail(value string) int64 {
	if s.err == nil {
		s.err = fmt.Errorf("the shape %v of %s is not known", s.values[value].Shape, value)
	}
	return 0
}

// elements is the number of a value's elements.
func (s *sizing) elements(value string) int64 {
	v, known := s.values[value]
	if !known || v.Shape == nil {
		return s.fail(value)
	}
	count := int64(1)
	for _, d := range v.Shape {
		if d.Size < 0 {
			return s.fail(value)
		}
		count *= d.Size
	}
	return count
}

// fromEnd is a value's dimension, 1 being the last.
func (s *sizing) fromEnd(value string, at int) int64 {
	shape := s.values[value].Shape
	if len(shape) < at || shape[len(shape)-at].Size < 0 {
		return s.fail(value)
	}
	return shape[len(shape)-at].Size
}

// product is 2·k for each element of a product's output, k being the length of the sums.
func (s *sizing) product() int64 {
	inner := 0 // the axis of the first input that is summed over, from its end
	switch s.n.Op {
	case "Gemm", "FusedGemm", "FusedMatMul":
		inner = 1 + int(s.n.Int("transA", 0))
	case "MatMul":
		inner = 1
	default:
		return 0
	}
	return 2 * s.fromEnd(s.n.Input(0), inner) * s.elements(s.n.Output(0))
}

func (s *sizing) ofKernels() int64 {
	n := s.n
	switch n.Op {
	case "Gemm":
		return s.kernelGemm()
	case "Attention": // scores, and the context
		return 2 * s.scores(0, 3)
	case "AttentionGrad":
		return s.attentionGrad()
	case "ColumnSum":
		return 2 * s.elements(n.Input(0))
	case "GeluGrad", "Mask", "LayerNormalizationGrad":
		count := int64(0)
		for i := 1; i < len(n.Outputs); i++ {
			if n.Output(i) != "" {
				count += 2 * s.elements(n.Output(0))
			}
		}
		return count
	}
	return 0
}

// kernelGemm is the product of A and B, inputs 1 and 2, and that of A2 and B2, inputs 7 and 8, if they are there.
func (s *sizing) kernelGemm() int64 {
	length := s.fromEnd(s.n.Input(1), 1+int(s.n.Int("transA", 0)))
	if s.n.Input(7) != "" && s.n.Input(8) != "" {
		length += s.fromEnd(s.n.Input(7), 1)
	}
	return 2 * length * s.elements(s.n.Output(0))
}

// scores is one of attention's products, 2·rows·heads·queries·keys·width: 2·keys for each element of q
// [rows·queries, heads·width]. mask is [rows, 1, any, keys]. Rows that are packed count as if all had the mean of their lengths,
// which are in the values of an input: the least that it can be.
func (s *sizing) scores(q, mask int) int64 {
	count := 2 * s.elements(s.n.Input(q))
	if rows := s.fromEnd(s.n.Input(mask), 4); s.n.Int("packed", 0) != 0 && rows > 0 {
		return count * s.fromEnd(s.n.Input(q+1), 2) / rows
	}
	return count * s.fromEnd(s.n.Input(mask), 1)
}

// attentionGrad has a product for each gradient that is wanted, and one for the gradient of the scores, which those by q and
// k need.
func (s *sizing) attentionGrad() int64 {
	products := int64(0)
	for i := range 3 {
		if s.n.Output(i) != "" {
			products++
		}
	}
	if s.n.Output(0) != "" || s.n.Output(1) != "" {
		products++
	}
	return products * s.scores(1, 4)
}
