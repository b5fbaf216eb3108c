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
}

// The methods of Block et al., "Meta-Learning Adaptable Foundation Models" (2024).
var (
	// SR: min over W of sum_t L_t(W), with one head for all tasks.
	SR = Method{Order: TaskAfterTask, Trains: Base | Head}

	// MetaLoRA: min over W, {A_t, B_t} of sum_t L_t(W + B_t A_t), jointly, by one optimiser; each task has its own head.
	MetaLoRA = Method{Order: RoundRobin, Trains: Base | Adapter | Head, PerTask: Adapter | Head}

	// MetaLastLayer: min over W, {h_t} of sum_t L_t(W; h_t): the adapter is the head.
	MetaLastLayer = Method{Order: RoundRobin, Trains: Base | Head, PerTask: Head}

	// LoRA: min over A, B and the head of L(W + B A), W frozen (Hu et al. 2021).
	LoRA = Method{Order: TaskAfterTask, Trains: Adapter | Head, PerTask: Adapter | Head}

	// LastLayer: min over the head alone.
	LastLayer = Method{Order: TaskAfterTask, Trains: Head, PerTask: Head}
)

// Has tells whether w contains all of x.
func (w Weights) Has(x Weights) bool { return w&x == x }
