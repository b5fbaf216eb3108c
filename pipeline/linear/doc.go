// Package linear is the paper's linear study: Meta-LoRA where everything can be checked.
//
// Picture a base matrix A* of size d x d and tasks around it, each a small symmetric step away: task t answers x with
// (A* + U*_t U*_tᵀ) x plus noise, where U*_t has k columns. Standard retraining (SR) fits one matrix to all tasks and lands
// in their middle, A* + mean U*_t U*_tᵀ, from where a new task is rank k(T+1) away. Meta-LoRA fits a matrix and an adapter for
// each task, finds A* itself, and a new task is rank k away. Both then learn a new task by LoRA of rank k from few samples.
//
// Every loss here is a mean of squares, so all that a gradient needs of the samples are their second moments: [Moments].
// Losses carry the factor 1/2, gradients are means over samples, as in the published code. Random numbers come from streams
// named by what they are for, so that a truth of dimension 5 is a corner of that of dimension 20, and methods meet the same data.
//
// Source: Block, Srinivasan, Collins, Mokhtari and Shakkottai, "Meta-Learning Adaptable Foundation Models"
// (arXiv 2410.22264v1), sections 3 and 5.1 and appendix D.
package linear
