// Package train is the training loop: turns in, better weights out.
//
// Three things meet here. A [Set] holds named weights as Go slices. An [Engine] is one graph on ONNX Runtime that reads
// those slices in place and returns a turn's loss and gradients, or its scores. A [Plan] is the whole list of optimiser
// steps, known before the first one runs, so a run can be stopped and taken up at any step. [Run] walks the plan:
// the turns of a step go through the engine one at a time, their gradients add up, AdamW moves the weights.
//
// A retraining method is what [Method] says: the order of the tasks and which weights belong to all tasks or to one.
package train
