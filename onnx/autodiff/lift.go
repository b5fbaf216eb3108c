package autodiff

import (
	"slices"

	"metalora/onnx"
)

// lift raises the model's operator set to version. From 13, which every model has at least, to 16 one operator changes its
// meaning: RoiAlign then shifts its samples by half a pixel unless told otherwise.
func (b *builder) lift(version int64) {
	const irVersion = 8 // of the release that brought opset 16
	if b.model.Opsets[""] >= version {
		return
	}
	b.model.Opsets[""] = version
	b.model.IRVersion = max(b.model.IRVersion, irVersion)
	for i, n := range b.model.Graph.Nodes[:b.forward] {
		if n.Op == "RoiAlign" && n.Domain == "" {
			c := *n
			c.Attrs = append(slices.Clone(n.Attrs), onnx.StringAttr("coordinate_transformation_mode", "output_half_pixel"))
			b.model.Graph.Nodes[i] = &c
		}
	}
}
