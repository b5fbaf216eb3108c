package train

// Weights is a choice among the three groups of weights.
type Weights int

// The groups: the base model's, an adapter's, a head's.
const (
	Base Weights = 1 << iota
	Adapter
	Head
)

// Method is a way to retrain the base on several tasks, or to adapt it to one.
type Method struct {
	Order Order
	// Trains are the groups that move. A step moves the active task's own weights and the shared ones.
	Trains Weights
	// PerTask are the groups of which each task has its own; the others are shared by all tasks.
	PerTask Weights
	// Inner is what happens before each step of a method with two loops; nil: the method has one.
	Inner *Inner
}

// Inner is the inner loop of a method with two: AdamW, new for each step of the outer loop, at a constant rate.
type Inner struct {
	Moves Weights // by the inner optimiser
	Outer Outer
}

// Outer is what the outer optimiser takes for a gradient once the inner loop has ended.
type Outer int

const (
	// Displacement is (W - W_task)/T: where the inner loop went from W, turned round, T the number of tasks. W goes back
	// to where it was before the outer step.
	Displacement Outer = iota
	// Query is the gradient on the query half of the batch at the point that the inner loop reached on the support half.
	// What the inner loop moved goes back to its start before the task's next step.
	Query
)

// The retraining methods. W are the base's weights, h a head, (A, B) a LoRA adapter, L_t the loss on task t; what is not
// named as per task is shared. SR and Meta-LoRA differ in three things at once, the order of the tasks, the heads and the
// adapters; SRMixed, SRHeads, MetaLastLayer and SRLoRA change them one by one.
var (
	// SR, standard retraining: min over W, h of sum_t L_t(W; h) (Block et al. 2024).
	SR = Method{Order: TaskAfterTask, Trains: Base | Head}

	// SRMixed is SR in the order of Meta-LoRA: the tasks take turns, a batch each.
	SRMixed = Method{Order: RoundRobin, Trains: Base | Head}

	// SRHeads is SR with a head for each task: min over W, {h_t} of sum_t L_t(W; h_t).
	SRHeads = Method{Order: TaskAfterTask, Trains: Base | Head, PerTask: Head}

	// SRLoRA is SR with one adapter for all tasks, min over W, A, B, h of sum_t L_t(W + B A; h): what an adapter does to
	// the optimisation when it is nobody's own. W + B A is the retrained base.
	SRLoRA = Method{Order: TaskAfterTask, Trains: Base | Adapter | Head}

	// MetaLoRA: min over W, {A_t, B_t, h_t} of sum_t L_t(W + B_t A_t; h_t), jointly, by one optimiser (Block et al. 2024). Its
	// symmetric form, U_t U_tᵀ in the paper's theory, is a matter of where the adapters sit: adapters.LoRA.Symmetric.
	MetaLoRA = Method{Order: RoundRobin, Trains: Base | Adapter | Head, PerTask: Adapter | Head}

	// MetaLastLayer: min over W, {h_t} of sum_t L_t(W; h_t), tasks in turn: the adapter is the head (Block et al. 2024).
	MetaLastLayer = Method{Order: RoundRobin, Trains: Base | Head, PerTask: Head}

	// Reptile (Nichol et al. 2018, "On first-order meta-learning algorithms", algorithm 1, as Block et al. run it). Inner: all
	// weights, head included, on one task. Outer: AdamW on the same weights along (W - W_task)/T, after each task.
	Reptile = Method{Order: EachOnce, Trains: Base | Head, Inner: &Inner{Moves: Base | Head, Outer: Displacement}}

	// FOMAML (Finn et al. 2017, "Model-agnostic meta-learning", section 5.2, first order), with LoRA as what adapts.
	// Inner: the task's adapter and head on the support half of its batch, W frozen. Outer: W alone, by its gradient
	// on the query half at the adapted point. Every task starts from the same adapter and head, each time anew.
	FOMAML = Method{Order: RoundRobin, Trains: Base, PerTask: Adapter | Head, Inner: &Inner{Moves: Adapter | Head, Outer: Query}}

	// ANIL (Raghu et al. 2020, "Rapid learning or feature reuse?") is FOMAML without the adapter. Inner: the head alone.
	// Outer: W.
	ANIL = Method{Order: RoundRobin, Trains: Base, PerTask: Head, Inner: &Inner{Moves: Head, Outer: Query}}
)

// The ways to adapt a base to one task.
var (
	// LoRA: min over A, B and the head of L(W + B A), W frozen (Hu et al. 2021).
	LoRA = Method{Order: TaskAfterTask, Trains: Adapter | Head, PerTask: Adapter | Head}

	// LastLayer: min over the head alone.
	LastLayer = Method{Order: TaskAfterTask, Trains: Head, PerTask: Head}

	// Full fine-tuning: min over W and the head.
	Full = Method{Order: TaskAfterTask, Trains: Base | Head, PerTask: Head}
)

// Moves are the groups that the outer or the inner loop moves.
func (m Method) Moves() Weights {
	if m.Inner == nil {
		return m.Trains
	}
	return m.Trains | m.Inner.Moves
}

// Has tells whether w contains all of x.
func (w Weights) Has(x Weights) bool { return w&x == x }
