package autodiff

import "metalora/onnx"

// y = det X of square matrices with batch dimensions in front: dX = dy*y*X⁻ᵀ. ONNX has no inverse, ONNX Runtime has. Of
// matrices without one the gradient is not a number.
func det(b *builder, n *onnx.Node, dy value, _ int) value {
	x := n.Input(0)
	b.model.Opsets[microsoft] = max(b.model.Opsets[microsoft], 1)
	inverse := b.node(microsoft, "Inverse", []value{x})
	each := b.op("Unsqueeze", b.mul(dy, n.Output(0)), b.vec(-2, -1))
	return b.mul(each, b.turned(inverse, b.rank(x), true))
}
