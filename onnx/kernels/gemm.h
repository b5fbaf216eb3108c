// Matrix products of float32. Nothing here knows ONNX Runtime.
#ifndef METALORA_GEMM_H
#define METALORA_GEMM_H

#include <stdint.h>

#include "pool.h"

// ml_factor is a matrix: element (i, j) is data[i*row + j*col], times mask[i*row + j*col] (0 or 1) where there is a mask.
typedef struct {
	const float *data;
	size_t row, col;
	const uint8_t *mask;
} ml_factor;

// ml_term is alpha · a·b with a [m, k], b [k, n], times mask [m, n] (0 or 1, rows without gaps) where there is a mask.
typedef struct {
	size_t k;
	float alpha;
	ml_factor a, b;
	const uint8_t *mask;
} ml_term;

// ml_product is y = addend + Σ terms, all [m, n]; the first term has bias [n] under its mask. Rows of y and addend are without
// gaps; addend may be y itself, but y overlaps nothing else. All terms but the first are thin: k is at most ml_thin.
typedef struct {
	size_t m, n, count;
	ml_term terms[2];
	const float *bias, *addend; // or NULL
	float *y;
} ml_product;

enum { ml_thin = 64 };

// ml_gemm computes a product on the threads of a pool. Each element is summed in an order that depends on the sizes, on how the
// factors lie and on the instruction set, not on the number of threads. It returns 0, or -1 where there is no memory to work in.
int ml_gemm(const ml_pool *pool, const ml_product *p);

// A part of a product on this thread: rows [m0, m1) and columns [n0, n1) of y, whose element (i, j) lies at i*row + j*col.
// One for each instruction set; they add in orders of their own.
typedef int ml_part(const ml_product *p, size_t row, size_t col, size_t m0, size_t m1, size_t n0, size_t n1);
ml_part ml_gemm_part_avx512, ml_gemm_part_avx2, ml_gemm_part_plain;

#endif
