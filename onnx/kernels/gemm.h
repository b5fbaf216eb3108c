// Matrix products of float32. Nothing here knows ONNX Runtime.
#ifndef METALORA_GEMM_H
#define METALORA_GEMM_H

#include <stddef.h>

// ml_pool runs f(data, i) for each i in [0, total), perhaps at once on several threads, and returns when all are done.
// total is the number of tasks: each should be worth a thread's while (some 20 microseconds).
typedef struct ml_pool {
	void (*run)(const struct ml_pool *pool, size_t total, void (*f)(void *data, size_t i), void *data);
	void *self;
} ml_pool;

// ml_product is y = alpha · a·b with a [m, k], b [k, n], y [m, n]. Element (i, j) of a lies at a[i*a_row + j*a_col], b's
// likewise; a row of y is without gaps and starts every y_row elements. y overlaps neither factor.
typedef struct {
	size_t m, n, k;
	float alpha;
	const float *a;
	size_t a_row, a_col;
	const float *b;
	size_t b_row, b_col;
	float *y;
	size_t y_row;
} ml_product;

// ml_gemm computes a product on the threads of a pool. Each element is summed in an order that depends on the sizes alone.
// It returns 0, or -1 where there is no memory to work in.
int ml_gemm(const ml_pool *pool, const ml_product *p);

#endif
