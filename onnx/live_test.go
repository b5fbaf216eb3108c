package onnx

import "testing"

// TestCountLive: small graphs over x [rows, 4] at 10 rows, 160 bytes a float value, counted by hand.
func TestCountLive(t *testing.T) {
	const value = 10 * 4 * 4
	for name, c := range map[string]struct {
		build func(b *Builder, x string) (output string)
		want  int64
	}{
		"one node, fetched":        {func(b *Builder, x string) string { return b.Op("Abs", []string{x}) }, 0},
		"a chain holds two values": {func(b *Builder, x string) string { return chain(b, x, "Abs", "Abs", "Abs", "Abs") }, 2 * value},
		"in place":                 {func(b *Builder, x string) string { return chain(b, x, "Abs", "Tanh", "Tanh", "Abs") }, value},
		"not in place where another reads": {func(b *Builder, x string) string {
			y := b.Op("Abs", []string{x})
			return b.Op("Add", []string{b.Op("Abs", []string{b.Op("Tanh", []string{y})}), y})
		}, 3 * value},
		"another shape of the same memory": {func(b *Builder, x string) string {
			y := b.Op("Reshape", []string{b.Op("Abs", []string{x}), b.Ints(-1)})
			return b.Op("Abs", []string{b.Op("Unsqueeze", []string{y, b.Ints(0)})})
		}, value},
		"over an operator's first input": {func(b *Builder, x string) string {
			y := b.Node(ours, "Mask", []string{b.Op("Abs", []string{x}), b.Op("Cast", []string{x}, IntAttr("to", int64(Bool)))}, 1)[0]
			return b.Op("Abs", []string{y})
		}, value + value/4},
		"not over its second": {func(b *Builder, x string) string {
			y := b.Node(ours, "Gemm", []string{"", b.Op("Abs", []string{x}), b.Const(Floats([]int64{4, 4}, make([]float32, 16)...))}, 1)[0]
			return b.Op("Abs", []string{y})
		}, 2 * value},
		"a product over what it adds to": {func(b *Builder, x string) string {
			w := b.Const(Floats([]int64{4, 4}, make([]float32, 16)...))
			return b.Op("Abs", b.Node(ours, "Gemm", []string{b.Op("Abs", []string{x}), x, w}, 1))
		}, value},
		"another shape of what is fed": {func(b *Builder, x string) string {
			return b.Op("Abs", []string{b.Op("Reshape", []string{x, b.Ints(-1)})})
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			g := &Graph{Name: name}
			b := NewBuilder(g)
			b.Output(c.build(b, b.Input("x", Float, "rows", 4)), Float)
			g.Outputs[0].Shape = nil
			got, err := CountLive(NewModel(g), map[string]int64{"rows": 10})
			if err != nil || got.Values != c.want {
				t.Errorf("%d bytes (%v), want %d", got.Values, err, c.want)
			}
			if got.Fed != value || got.Fetched != value {
				t.Errorf("%d bytes fed and %d fetched, want %d of each", got.Fed, got.Fetched, value)
			}
		})
	}
}

func chain(b *Builder, x string, ops ...string) string {
	for _, op := range ops {
		x = b.Op(op, []string{x})
	}
	return x
}

// A branch that no one needs before the other is computed when its reader runs: what the order of the list would hold all
// along does not count.
func TestCountLiveRunOrder(t *testing.T) {
	g := &Graph{Name: "order"}
	b := NewBuilder(g)
	x := b.Input("x", Float, "rows", 4)
	var sums []string
	for range 5 {
		sums = append(sums, b.Op("Abs", []string{x}))
	}
	for _, s := range sums {
		b.Output(b.Op("ReduceSum", []string{s}), Float)
	}
	if got, err := CountLive(NewModel(g), map[string]int64{"rows": 10}); err != nil || got.Values != 160 {
		t.Errorf("%d bytes (%v), want one value's 160: each sum is taken as soon as its value is there", got.Values, err)
	}
}

// What cannot be counted is an error, not a small number.
func TestCountLiveUnknown(t *testing.T) {
	g := &Graph{Name: "unknown"}
	b := NewBuilder(g)
	b.Output(b.Op("Abs", []string{b.Op("Abs", []string{b.Input("x", Float, "rows", "other")})}), Float)
	if got, err := CountLive(NewModel(g), map[string]int64{"rows": 10}); err == nil {
		t.Errorf("%+v where a symbol has no size", got)
	}
}
