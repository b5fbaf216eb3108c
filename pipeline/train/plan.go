package train

// Step is one optimiser step: a batch of one task's turns.
type Step struct {
	Epoch int
	Task  int
	Turns []int   // positions in the task's training turns; none where the step's gradient is a displacement
	Inner [][]int // the batches of the inner loop before it
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

// EachOnce takes each task once an epoch, however many batches it has.
func EachOnce(batches []int) []int {
	tasks := make([]int, len(batches))
	for t := range tasks {
		tasks[t] = t
	}
	return tasks
}

// Plan lays out the steps of the method. turns[t] is how many training turns task t has, inner how many steps the inner
// loop takes where there is one; shuffled gives a task's order in an epoch, pass counting from 0 how often the task
// has been gone through in it.
func (m Method) Plan(turns []int, batch, epochs, inner int, shuffled func(task, epoch, pass int) []int) Plan {
	first := func(task, epoch int) []int { return shuffled(task, epoch, 0) }
	switch {
	case m.Inner == nil:
		return NewPlan(m.Order, turns, batch, epochs, first)
	case m.Inner.Outer == Query:
		return halves(NewPlan(m.Order, turns, batch, epochs, first), inner)
	}
	var plan Plan
	for epoch := range epochs {
		for _, t := range m.Order(make([]int, len(turns))) {
			steps := inner
			if steps == 0 {
				steps = Batches(turns[t], batch)
			}
			batches := passes(batch, steps, func(pass int) []int { return shuffled(t, epoch, pass) })
			plan = append(plan, Step{Epoch: epoch, Task: t, Inner: batches})
		}
	}
	return plan
}

// halves splits each batch: the first half, the larger where they differ, is the support of all inner steps, the second
// the query. A batch of one turn has no halves and is left out.
func halves(plan Plan, inner int) Plan {
	var split Plan
	for _, s := range plan {
		if len(s.Turns) < 2 {
			continue
		}
		half := (len(s.Turns) + 1) / 2
		for range inner {
			s.Inner = append(s.Inner, s.Turns[:half])
		}
		s.Turns = s.Turns[half:]
		split = append(split, s)
	}
	return split
}

// passes cuts batches from one order after another until there are enough.
func passes(batch, steps int, order func(pass int) []int) [][]int {
	var batches [][]int
	for pass := 0; len(batches) < steps; pass++ {
		for rest := order(pass); len(rest) > 0 && len(batches) < steps; {
			n := min(batch, len(rest))
			batches = append(batches, rest[:n])
			rest = rest[n:]
		}
	}
	return batches
}

// Batches is how many batches so many turns make.
func Batches(turns, batch int) int { return (turns + batch - 1) / batch }
