package onnx

import (
	"fmt"
	"slices"
)

// Window is how a convolution or a pooling slides over the spatial axes of its input, which stand behind the batch and
// the channels. Its lists have one element for each of these axes.
type Window struct {
	Kernel    []int64 // elements that are read at once, -1 where that is not known
	Strides   []int64 // steps between two windows
	Dilations []int64 // steps between two elements of a window
	Before    []int64 // padding
	After     []int64
	// Same is SAME_UPPER or SAME_LOWER where padding is such that the output has 1/stride of the input's size, rounded
	// up, else empty. Before and After are then zeros: [Window.Padding] has them.
	Same string
	// Ceil says that a last window may stand partly beyond the padding.
	Ceil bool
}

// NewWindow reads the window of a Conv, ConvTranspose or pooling node, given the sizes of its kernel. An error names
// an attribute with another number of axes, or a value that makes no sense.
func NewWindow(n *Node, kernel []int64) (Window, error) {
	axes := len(kernel)
	w := Window{Kernel: kernel, Ceil: n.Int("ceil_mode", 0) != 0}
	var err error
	if w.Strides, err = n.perAxis("strides", axes, 1); err != nil {
		return w, err
	}
	if w.Dilations, err = n.perAxis("dilations", axes, 1); err != nil {
		return w, err
	}
	if i := slices.IndexFunc(slices.Concat(w.Strides, w.Dilations), func(i int64) bool { return i < 1 || i > maxSize }); i >= 0 {
		return w, fmt.Errorf("a stride or dilation of %d", slices.Concat(w.Strides, w.Dilations)[i])
	}
	pads, err := n.perAxis("pads", 2*axes, 0)
	if err != nil {
		return w, err
	}
	if slices.ContainsFunc(pads, func(p int64) bool { return p < -maxSize || p > maxSize }) {
		return w, fmt.Errorf("pads of %d", pads)
	}
	switch a := n.Attr("auto_pad"); {
	case a == nil || a.S == "NOTSET" || a.S == "":
	case a.S == "VALID", a.S == "SAME_UPPER", a.S == "SAME_LOWER":
		pads = make([]int64, 2*axes)
		if a.S != "VALID" {
			w.Same = a.S
		}
	default:
		return w, fmt.Errorf("auto_pad %q", a.S)
	}
	w.Before, w.After = pads[:axes], pads[axes:]
	return w, nil
}

// maxSize bounds the numbers that sizes are computed from, so that their products are within int64.
const maxSize = 1 << 31

// perAxis is a list attribute of n elements, all def where it is absent.
func (n *Node) perAxis(attr string, count int, def int64) ([]int64, error) {
	list := n.Ints(attr)
	if list == nil {
		return slices.Repeat([]int64{def}, count), nil
	}
	if len(list) != count {
		return nil, fmt.Errorf("%s %d has not %d elements", attr, list, count)
	}
	return list, nil
}

// Reach is how many elements of axis i lie between the first and the last of a window, both included; -1 if unknown.
func (w Window) Reach(i int) int64 {
	if w.Kernel[i] < 0 {
		return -1
	}
	return (w.Kernel[i]-1)*w.Dilations[i] + 1
}

// Padding is what stands before and after axis i of an input of the given size (-1: unknown), if that can be known.
func (w Window) Padding(i int, size int64) (before, after int64, known bool) {
	if w.Same == "" {
		return w.Before[i], w.After[i], true
	}
	reach := w.Reach(i)
	if reach < 0 || size < 0 && w.Strides[i] > 1 {
		return 0, 0, false
	}
	total := reach - 1 // with a stride of 1, whatever the size
	if w.Strides[i] > 1 {
		total = (ceilDiv(size, w.Strides[i])-1)*w.Strides[i] + reach - size
	}
	before, after = w.Split(max(total, 0))
	return before, after, true
}

// Split divides padding between both ends.
func (w Window) Split(total int64) (before, after int64) {
	if w.Same == "SAME_LOWER" {
		return total - total/2, total / 2
	}
	return total / 2, total - total/2
}

func ceilDiv(a, b int64) int64 { return (a + b - 1) / b }

// slide is the number of windows along axis i of an input.
func (w Window) slide(i int, size number) number {
	known, ok := size.value()
	if !ok {
		known = -1
	}
	before, after, padded := w.Padding(i, known)
	reach, stride := w.Reach(i), w.Strides[i]
	switch {
	case w.Same != "" && stride == 1:
		return size
	case !padded || reach < 0:
		return nil
	case stride == 1:
		return size.plus(constant(before + after - reach + 1))
	case !ok:
		return nil
	}
	room := known + before + after - reach
	if room < 0 {
		return constant(0)
	}
	windows := room/stride + 1
	if w.Ceil && room%stride != 0 && windows*stride < known+before {
		windows++
	}
	return constant(windows)
}

// spread is the size along axis i of what a ConvTranspose makes of an input, extra being its output_padding. With auto
// padding that is the input's size times the stride.
func (w Window) spread(i int, size number, extra int64) number {
	reach := w.Reach(i)
	if reach < 0 {
		return nil
	}
	full := size.minus(constant(1)).times(constant(w.Strides[i])).plus(constant(extra + reach))
	before, after := w.Cut(i, extra)
	return full.minus(constant(before + after))
}

// Cut is what a ConvTranspose takes off both ends of axis i.
func (w Window) Cut(i int, extra int64) (before, after int64) {
	if w.Same == "" {
		return w.Before[i], w.After[i]
	}
	return w.Split(max(0, extra+w.Reach(i)-w.Strides[i]))
}
