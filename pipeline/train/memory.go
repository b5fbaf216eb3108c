package train

import (
	"fmt"
	"runtime/debug"

	"metalora/onnx"
	"metalora/tokenize"
)

// Memory is what an engine takes at its peak beside the weights, in bytes.
type Memory struct {
	Engine int64 // ONNX Runtime's: the session, and what the values of a run take at once
	Slices int64 // Go's: gradients and where they add up, AdamW's moments, dropout masks, rows of tables
}

// Add is both together.
func (m Memory) Add(n Memory) Memory { return Memory{m.Engine + n.Engine, m.Slices + n.Slices} }

const (
	// sessionBytes is a session's own: its graph, kernels and threads. 11 to 16 MiB were measured from 2 to 12 layers.
	sessionBytes = 14 << 20
	// arenaWaste is how much more the engine's arena takes than the values in it. It hands out a free piece whole
	// where that is less than twice as large as asked for, and leaves gaps: 1.24 to 1.39 were measured without operators of
	// package kernels. With them fewer values of fewer sizes come and go, and at 1 estimates of a process of 4 layers of 192
	// were 0.95 to 1.10 of its peak, of 6 layers of 384 0.96 to 1.05.
	arenaWaste, kernelWaste = 1.33, 1.0
)

// GarbagePercent is how much may lie about while something trains before Go collects it. Its usual 100 would let a process
// that holds 2 GB of weights and moments grow to 4: what is allocated anew is little, but it adds up.
const GarbagePercent = 20

// CollectOften has Go collect garbage early until the function it returns is called. Who set GOGC has decided already.
func CollectOften() (restore func()) {
	before := debug.SetGCPercent(GarbagePercent)
	if before != 100 {
		debug.SetGCPercent(before)
		return func() {}
	}
	return func() { debug.SetGCPercent(before) }
}

// Shape is the size of a batch: pairs, and tokens of the longest.
type Shape struct{ Rows, Length int }

// Largest are the sizes of those turns that a run may take most for: the one of most tokens and the one of the longest pair.
func Largest(turns []Turn) []Shape {
	var most, longest Shape
	for i := range turns {
		s := Shape{turns[i].Rows, turns[i].Length}
		if s.Rows*s.Length > most.Rows*most.Length {
			most = s
		}
		if s.Length > longest.Length || s.Length == longest.Length && s.Rows > longest.Rows {
			longest = s
		}
	}
	if most == longest {
		return []Shape{most}
	}
	return []Shape{most, longest}
}

// Memory estimates what an engine of the spec takes for turns of those sizes, without opening one. Gradients and moments of
// the groups in perTask lie there for each of owners tasks.
func (s Spec) Memory(turns []Shape, perTask Weights, owners int) (Memory, error) {
	p, err := s.program()
	if err != nil {
		return Memory{}, err
	}
	m, waste := Memory{Engine: sessionBytes}, arenaWaste
	if p.graph != p.plain {
		waste = kernelWaste
	}
	for _, turn := range turns {
		if turn.Rows*turn.Length == 0 {
			continue // no turn at all
		}
		c := chunks(turn.Full(), p.chunk)[0]
		live, err := onnx.CountLive(p.graph, Shape{c.Rows, c.Length}.sizes())
		if err != nil {
			return Memory{}, fmt.Errorf("estimating memory: %w", err)
		}
		m.Engine = max(m.Engine, sessionBytes+int64(waste*float64(live.Values))+live.Fetched)
		m.Slices = max(m.Slices, live.Fed+live.Fetched)
	}
	written := map[string]bool{} // weights of whose gradient a run writes a copy of its own, which is then added up
	for _, g := range p.gradients {
		written[g.Of] = g.IDs == "" && !p.sums[g.Output]
	}
	for name, w := range s.trained() {
		copies := int64(3) // where gradients add up, and the moments
		if perTask.Has(w.group) {
			copies *= int64(owners)
		}
		if written[name] {
			copies++
		}
		m.Slices += copies * w.bytes
	}
	return m, nil
}

// weight is the group and the size of a weight.
type weight struct {
	group Weights
	bytes int64
}

// trained are the weights whose gradients the engine gives.
func (s Spec) trained() map[string]weight {
	all := s.weights()
	for name, w := range all {
		if !s.Trains.Has(w.group) {
			delete(all, name)
		}
	}
	return all
}

// weights are all that an engine of the spec reads.
func (s Spec) weights() map[string]weight {
	all := map[string]weight{}
	for _, p := range s.Architecture.Parameters() {
		group := Base
		if p.Head {
			group = Head
		}
		all[p.Name] = weight{group, 4 * int64(product(p.Shape))}
	}
	for _, site := range s.Sites {
		all[site.Linear+".lora_A.weight"] = weight{Adapter, 4 * int64(site.Rank) * int64(site.In)}
		if !site.Symmetric {
			all[site.Linear+".lora_B.weight"] = weight{Adapter, 4 * int64(site.Rank) * int64(site.Out)}
		}
	}
	return all
}

// WeightBytes is the size of the weights of the given groups.
func (s Spec) WeightBytes(of Weights) int64 {
	total := int64(0)
	for _, w := range s.weights() {
		if of.Has(w.group) {
			total += w.bytes
		}
	}
	return total
}

// Full is a batch whose rows are all as long as the longest.
func (s Shape) Full() tokenize.Batch {
	rows := make([][]int, s.Rows)
	for i := range rows {
		rows[i] = make([]int, s.Length)
	}
	return tokenize.NewBatch(rows, 0)
}
