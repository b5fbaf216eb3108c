package autodiff

import (
	"slices"

	"metalora/onnx"
)

// convolution is what the rules of Conv and ConvTranspose share. Both are linear in their input and in their weights, and each
// is the other's gradient: of y = Conv(x, w), dx = ConvTranspose(dy, w); of y = ConvTranspose(x, w), dx = Conv(dy, w). The
// weights' gradient is a convolution of the larger of the two with the smaller, in which rows and channels change places.
type convolution struct {
	*builder
	weights value
	group   int64
	window  onnx.Window
}

// axes is the number of spatial axes.
func (c convolution) axes() int { return len(c.window.Kernel) }

// newConvolution reads a node that windowed accepts.
func newConvolution(b *builder, n *onnx.Node) convolution {
	w, _ := onnx.NewWindow(n, b.kernel(n))
	return convolution{b, n.Input(1), n.Int("group", 1), w}
}

// kernel is the size of a convolution's window along each spatial axis, -1 where it is not known; nil where even the number of
// these axes is not.
func (b *builder) kernel(n *onnx.Node) []int64 {
	if k := n.Ints("kernel_shape"); k != nil {
		return k
	}
	known := b.info[n.Input(1)].Shape
	if known == nil {
		known = slices.Clone(b.info[n.Input(0)].Shape)
		for i := range known {
			known[i].Size = -1
		}
	}
	if len(known) < 3 {
		return nil
	}
	var k []int64
	for _, d := range known[2:] {
		k = append(k, d.Size)
	}
	return k
}

// unwindowed finds a convolution whose number of spatial axes or padding is not known in advance.
func unwindowed(b *builder, n *onnx.Node) string {
	kernel := b.kernel(n)
	if kernel == nil {
		return "its rule needs the number of dimensions of its input " + inputName(n, 0) + ", which is not known"
	}
	w, err := onnx.NewWindow(n, kernel)
	if err != nil {
		return err.Error()
	}
	for i := range kernel {
		sized := kernel[i] > 0 && b.spatial(n.Input(0), i) >= 0
		if !sized && n.Op == "ConvTranspose" && n.Ints("output_shape") != nil || kernel[i] < 0 && w.Same != "" {
			return "its rule needs the sizes of its input " + inputName(n, 0) + ", of which at most the number of dimensions is known"
		}
	}
	return ""
}

// padsKnown reports whether the padding of a node's window is known in advance.
func (b *builder) padsKnown(n *onnx.Node) bool {
	w, _ := onnx.NewWindow(n, b.kernel(n))
	for i := range w.Kernel {
		if _, _, ok := w.Padding(i, b.spatial(n.Input(0), i)); !ok {
			return false
		}
	}
	return true
}

// padSame is the expansion of a convolution whose padding depends on sizes that are known only when the graph runs: padding
// and a convolution without. Others stay as they are.
func padSame(b *builder, n *onnx.Node) []value {
	if b.padsKnown(n) {
		return nil
	}
	w, _ := onnx.NewWindow(n, b.kernel(n))
	x, axes := n.Input(0), len(w.Kernel)
	stride, reach := b.vec(w.Strides...), make([]int64, axes)
	for i := range axes {
		reach[i] = w.Reach(i)
	}
	one, size := b.vec(slices.Repeat([]int64{1}, axes)...), b.op("Slice", b.shapeOf(x), b.vec(2), b.vec(int64(2+axes)))
	steps := b.div(b.sub(size, one), stride) // one less than windows: size/stride, rounded up
	total := b.op("Max", b.sub(b.add(b.mul(steps, stride), b.vec(reach...)), size), b.vec(slices.Repeat([]int64{0}, axes)...))
	before := b.div(total, b.vec(2))
	after := b.sub(total, before)
	if w.Same == "SAME_LOWER" {
		before, after = after, before
	}
	none := b.vec(0, 0)
	wider := b.op("Pad", x, b.concat(none, before, none, after))
	attrs := slices.DeleteFunc(slices.Clone(n.Attrs), func(a onnx.Attr) bool { return a.Name == "auto_pad" })
	return []value{b.with("Conv", append([]value{wider}, n.Inputs[1:]...), attrs...)}
}

// spatial is the size of spatial axis i of v, -1 where it is not known.
func (b *builder) spatial(v value, i int) int64 {
	if shape := b.info[v].Shape; i+2 < len(shape) {
		return shape[i+2].Size
	}
	return -1
}

// y = w * x + c, a convolution: dx = ConvTranspose(dy, w), dw = x * dy, dc = Σdy over rows and places.
func conv(b *builder, n *onnx.Node, dy value, i int) value {
	c := newConvolution(b, n)
	before, after := make([]int64, c.axes()), make([]int64, c.axes())
	for j := range before {
		before[j], after[j], _ = c.window.Padding(j, b.spatial(n.Input(0), j))
	}
	switch i {
	case 0:
		return c.spread(dy, n.Input(0), n.Output(0), before, after)
	case 1:
		return c.dWeights(n.Input(0), dy, before, after)
	}
	return c.dBias(dy)
}

// y = ConvTranspose(x, w) + c: dx = w * dy, dw = dy * x, dc = Σdy over rows and places.
func convTranspose(b *builder, n *onnx.Node, dy value, i int) value {
	c := newConvolution(b, n)
	before, after := c.cut(n)
	switch i {
	case 0:
		dx := b.with("Conv", []value{dy, c.weights}, c.attrs(c.window.Strides, c.window.Dilations, before, after)...)
		return c.fit(dx, n.Input(0))
	case 1:
		return c.dWeights(dy, n.Input(0), before, after)
	}
	return c.dBias(dy)
}

// cut is what a ConvTranspose takes off both ends of each axis: its padding, or what is more than the wanted size.
func (c convolution) cut(n *onnx.Node) (before, after []int64) {
	wanted, extra := n.Ints("output_shape"), n.Ints("output_padding")
	for i := range c.axes() {
		more := int64(0)
		if extra != nil {
			more = extra[i]
		}
		p, q := c.window.Cut(i, more)
		if wanted != nil {
			size := c.spatial(n.Input(0), i)
			full := (size-1)*c.window.Strides[i] + more + c.window.Reach(i)
			p, q = c.window.Split(max(0, full-wanted[len(wanted)-c.axes()+i]))
			if c.window.Same == "" {
				p, q = q, p // the odd one first, unlike SAME_UPPER
			}
		}
		before, after = append(before, p), append(after, q)
	}
	return before, after
}

// attrs are the attributes of a convolution.
func (c convolution) attrs(strides, dilations, before, after []int64) []onnx.Attr {
	return []onnx.Attr{
		onnx.IntAttr("group", c.group), onnx.IntsAttr("strides", strides...), onnx.IntsAttr("dilations", dilations...),
		onnx.IntsAttr("pads", slices.Concat(before, after)...),
	}
}

// spread is ConvTranspose(dy, w) in x's size. Where windows are more than a step apart, x's last elements may lie in none.
func (c convolution) spread(dy, x, y value, before, after []int64) value {
	attrs := c.attrs(c.window.Strides, c.window.Dilations, before, after)
	rest := make([]int64, c.axes())
	for i, stride := range c.window.Strides {
		size, windows := c.spatial(x, i), c.spatial(y, i)
		if stride == 1 {
			continue
		}
		if size < 0 || windows < 1 || c.window.Reach(i) < 0 {
			attrs = c.attrs(c.window.Strides, c.window.Dilations, before, make([]int64, c.axes()))
			return c.grow(c.with("ConvTranspose", []value{dy, c.weights}, attrs...), x)
		}
		rest[i] = size + before[i] + after[i] - (windows-1)*stride - c.window.Reach(i)
	}
	return c.with("ConvTranspose", []value{dy, c.weights}, append(attrs, onnx.IntsAttr("output_padding", rest...))...)
}

// grow gives v the spatial sizes of x: zeros at the ends, or less of it.
func (c convolution) grow(v, x value) value {
	shape := c.concat(c.op("Slice", c.op("Shape", v), c.vec(0), c.vec(2)), c.op("Slice", c.shapeOf(x), c.vec(2), c.vec(int64(2+c.axes()))))
	more := c.sub(shape, c.op("Shape", v))
	return c.op("Pad", v, c.concat(c.vec(make([]int64, 2+c.axes())...), more))
}

// fit cuts v to the spatial sizes of x.
func (c convolution) fit(v, x value) value {
	var starts, axes []int64
	for i := range c.axes() {
		starts, axes = append(starts, 0), append(axes, int64(i+2))
	}
	ends := c.op("Slice", c.shapeOf(x), c.vec(2), c.vec(int64(2+c.axes())))
	return c.op("Slice", v, c.vec(starts...), ends, c.vec(axes...))
}

// dWeights is the cotangent of the weights [out, in/group, kernel] of a convolution that makes small [rows, out, windows] of
// large [rows, in, sizes]: dw[o,i,k] = Σ large[r, i, window*stride + k*dilation - before] * small[r, o, window] over rows
// and windows. That is a convolution whose window is all of small, whose rows are the in/group channels of large, whose
// channels are the rows, and in which strides and dilations have changed places.
func (c convolution) dWeights(large, small value, before, after []int64) value {
	swap := axesUpTo(c.axes() + 2)
	swap[0], swap[1] = 1, 0
	attrs := c.attrs(c.window.Dilations, c.window.Strides, before, after)
	dw := c.with("Conv", []value{c.regroup(large, swap), c.transpose(small, swap)}, attrs...)
	dw = c.transpose(dw, swap)
	if slices.Max(c.window.Strides) > 1 {
		return c.fit(dw, c.weights) // the last elements may lie in no window
	}
	return dw
}

// regroup brings [rows, group*in, sizes] into the shape [in, group*rows, sizes].
func (c convolution) regroup(v value, swap []int64) value {
	if c.group == 1 {
		return c.transpose(v, swap)
	}
	var sizes []value
	perm := []int64{2, 1, 0}
	for i := range c.axes() {
		sizes, perm = append(sizes, c.sizeOf(v, int64(i+2))), append(perm, int64(i+3))
	}
	split := append([]value{c.sizeOf(v, 0), c.vec(c.group, -1)}, sizes...)
	v = c.transpose(c.op("Reshape", v, c.concat(split...)), perm)
	return c.op("Reshape", v, c.concat(append([]value{c.vec(0, -1)}, sizes...)...))
}

// dBias is the cotangent of one number a channel.
func (c convolution) dBias(dy value) value {
	axes := []int64{0}
	for i := range c.axes() {
		axes = append(axes, int64(i+2))
	}
	return c.sumDrop(dy, axes...)
}
