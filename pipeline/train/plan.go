package train

// Step is one optimiser step: a batch of one task's turns.
type Step struct {
	Epoch int
	Task  int
	Turns []int // positions in the task's training turns
}

// Plan is every step of a run, in order.
type Plan []Step

// Order says how the batches of the tasks follow each other within an epoch.
type Order func(batches []int) (tasks []int)

// TaskAfterTask goes through all batches of one task before the next: the order of standard retraining.
func TaskAfterTask(batches []int) []int {
	var tasks []int
	for t, n := range batches {
		for range n {
			tasks = append(tasks, t)
		}
	}
	return tasks
}

// RoundRobin takes one batch of each task in turn. As in the published code, finding a task empty ends the round
// there: the next round begins at the first task again. Where no task has more batches than one before it, that
// is the plain round-robin.
func RoundRobin(batches []int) []int {
	left, alive := append([]int(nil), batches...), len(batches)
	done := make([]bool, len(batches))
	var tasks []int
	for alive > 0 {
		for t := range left {
			if done[t] {
				continue
			}
			if left[t] == 0 {
				done[t] = true
				alive--
				break
			}
			left[t]--
			tasks = append(tasks, t)
		}
	}
	return tasks
}

// NewPlan cuts each task's turns into batches, anew in every epoch. turns[t] is how many training turns task t has;
// shuffled gives their order in an epoch. The last batch of a task may be smaller; its mean weighs a full step.
func NewPlan(order Order, turns []int, batch, epochs int, shuffled func(task, epoch int) []int) Plan {
	counts := make([]int, len(turns))
	for t, n := range turns {
		counts[t] = Batches(n, batch)
	}
	var plan Plan
	for epoch := range epochs {
		rest := make([][]int, len(turns))
		for t := range turns {
			rest[t] = shuffled(t, epoch)
		}
		for _, t := range order(counts) {
			n := min(batch, len(rest[t]))
			plan = append(plan, Step{Epoch: epoch, Task: t, Turns: rest[t][:n]})
			rest[t] = rest[t][n:]
		}
	}
	return plan
}

// Batches is how many batches so many turns make.
func Batches(turns, batch int) int { return (turns + batch - 1) / batch }
