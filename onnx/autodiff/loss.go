package autodiff

import "metalora/onnx"

// y = -Σ_c t*x with t_c = w_c where c is the label of the sample, else 0; x [rows, classes, ...] has log-probabilities. The
// losses of all samples, their sum, or the sum divided by Σt: dx = -t*g with g = dy for each sample, divided likewise;
// dw_c = -Σ(x + y)*g over the samples of class c, without y where nothing is divided.
func logLikelihoodLoss(b *builder, n *onnx.Node, dy value, i int) value {
	l := b.lossOf(n, n.Input(0))
	if i == 2 {
		return l.weights(b, dy)
	}
	return l.scores(b, dy)
}

// y is the same of log softmax(x) over the classes, which is the second output and may have a cotangent of its own.
func crossEntropyLoss(b *builder, n *onnx.Node, dy value, i int) value {
	logits := b.extraOutput(n, 1)
	l := b.lossOf(n, logits)
	if i == 2 {
		return l.weights(b, dy)
	}
	g := b.cotangent(n.Output(1))
	switch {
	case dy != "" && g != "":
		g = b.add(g, l.scores(b, dy))
	case dy != "":
		g = l.scores(b, dy)
	}
	return b.sub(g, b.mul(b.exp(logits), b.sumKeep(g, 1)))
}

// loss is what the gradients of a loss have in common. All values have the rank of x.
type loss struct {
	node         *onnx.Node
	x            value // log-probabilities
	label        value // 1 at the label of each sample, else 0
	classWeights value // along the classes, or empty
}

// lossOf takes a loss apart. Labels that are to be ignored become -1, which is no class.
func (b *builder) lossOf(n *onnx.Node, x value) loss {
	rank := b.rank(n.Input(0))
	alongClasses := make([]int64, rank)
	for i := range alongClasses {
		alongClasses[i] = 1
	}
	alongClasses[1] = -1
	labels := b.cast(n.Input(1), onnx.Int64)
	if a := n.Attr("ignore_index"); a != nil {
		labels = b.where(b.equal(labels, b.out.Int(a.I)), b.out.Int(-1), labels)
	}
	classes := b.op("Range", b.out.Int(0), b.op("Squeeze", b.sizeOf(n.Input(0), 1)), b.out.Int(1))
	hot := b.equal(b.op("Unsqueeze", labels, b.vec(1)), b.op("Reshape", classes, b.vec(alongClasses...)))
	l := loss{node: n, x: x, label: b.cast(hot, b.dtype)}
	if w := n.Input(2); w != "" {
		l.classWeights = b.op("Reshape", w, b.vec(alongClasses...))
	}
	return l
}

// t is the weight of each sample at its label, else 0.
func (l loss) t(b *builder) value {
	if l.classWeights == "" {
		return l.label
	}
	return b.mul(l.label, l.classWeights)
}

// averages reports whether the loss is divided by Σt.
func (l loss) averages() bool {
	a := l.node.Attr("reduction")
	return a == nil || a.S == "mean"
}

// perSample is dy for each sample, with a dimension of 1 for the classes; a scalar stays one.
func (l loss) perSample(b *builder, dy value) value {
	if l.averages() {
		return b.div(dy, b.with("ReduceSum", []value{l.t(b)}, onnx.IntAttr("keepdims", 0)))
	}
	if a := l.node.Attr("reduction"); a.S == "sum" {
		return dy
	}
	return b.op("Unsqueeze", dy, b.vec(1))
}

func (l loss) scores(b *builder, dy value) value {
	return b.neg(b.mul(l.t(b), l.perSample(b, dy)))
}

func (l loss) weights(b *builder, dy value) value {
	x := l.x
	if l.averages() {
		x = b.add(x, l.node.Output(0))
	}
	dw := b.mul(b.mul(l.label, x), b.neg(l.perSample(b, dy)))
	axes := []int64{0}
	for axis := 2; axis < b.rank(l.node.Input(0)); axis++ {
		axes = append(axes, int64(axis))
	}
	return b.sumDrop(dw, axes...)
}
