package autodiff

import "metalora/onnx"

// y = sin(x): dx = dy*cos(x).
func sin(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.mul(dy, b.op("Cos", n.Input(0)))
}

// y = cos(x): dx = -dy*sin(x).
func cos(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.neg(b.mul(dy, b.op("Sin", n.Input(0))))
}

// y = tan(x): dx = dy*(1 + y²).
func tan(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.mul(dy, b.add(b.num(1), b.square(n.Output(0))))
}

// y = asin(x): dx = dy/√(1 - x²).
func asin(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.div(dy, b.op("Sqrt", b.sub(b.num(1), b.square(n.Input(0)))))
}

// y = acos(x): dx = -dy/√(1 - x²).
func acos(b *builder, n *onnx.Node, dy value, i int) value { return b.neg(asin(b, n, dy, i)) }

// y = atan(x): dx = dy/(1 + x²).
func atan(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.div(dy, b.add(b.num(1), b.square(n.Input(0))))
}

// y = sinh(x): dx = dy*cosh(x).
func sinh(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.mul(dy, b.op("Cosh", n.Input(0)))
}

// y = cosh(x): dx = dy*sinh(x).
func cosh(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.mul(dy, b.op("Sinh", n.Input(0)))
}

// y = asinh(x): dx = dy/√(1 + x²).
func asinh(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.div(dy, b.op("Sqrt", b.add(b.num(1), b.square(n.Input(0)))))
}

// y = acosh(x): dx = dy/√(x² - 1).
func acosh(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.div(dy, b.op("Sqrt", b.sub(b.square(n.Input(0)), b.num(1))))
}

// y = atanh(x): dx = dy/(1 - x²).
func atanh(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.div(dy, b.sub(b.num(1), b.square(n.Input(0))))
}
