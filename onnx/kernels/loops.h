// Loops over rows of float32, compiled for each instruction set. Nothing here knows ONNX Runtime or threads.
#ifndef METALORA_LOOPS_H
#define METALORA_LOOPS_H

#include <stddef.h>
#include <stdint.h>

// ml_norm is the gradient of a layer norm: what is the same for all rows of n elements.
typedef struct {
	size_t n;
	const float *const *dy; // addends whose sum is the cotangent of the norm's output, [rows, n] each
	size_t addends;
	const float *x;          // the norm's input [rows, n]
	const float *mean, *inverse; // of each row of x: its mean and the inverse of its deviation [rows]
	const float *weight;     // [n]
	float *dx;               // [rows, n], perhaps the same memory as an addend, never as x
} ml_norm;

// ml_loops are the loops for one instruction set. y and dx may be the same memory as an input of the same size, element for
// element. Sums, where they are wanted (else NULL), are added to.
typedef struct {
	// y = gelu(x) = x * Φ(x), with the exact Φ or with the tanh form.
	void (*gelu)(const float *x, float *y, size_t n);
	void (*gelu_tanh)(const float *x, float *y, size_t n);

	// dx = dy * gelu'(x).
	void (*gelu_grad)(const float *dy, const float *x, float *dx, size_t n);
	void (*gelu_tanh_grad)(const float *dy, const float *x, float *dx, size_t n);

	// y = x * mask + addend; addend may be NULL. mask is a byte an element, 0 or 1.
	void (*mask)(const float *x, const uint8_t *mask, const float *addend, float *y, size_t n);

	// sum [n] += each of the rows of x [rows, n].
	void (*add_rows)(float *sum, const float *x, size_t rows, size_t n);

	// The rows from first up to last of a layer norm's gradient: dx of them, and the sums of dy * h and of dy [n] over them,
	// where h is the standardised x.
	void (*norm_grad)(const ml_norm *norm, size_t first, size_t last, float *dweight, float *dbias);
} ml_loops;

// ml_best_loops are the loops for the best instruction set that this processor has.
const ml_loops *ml_best_loops(void);

#endif
