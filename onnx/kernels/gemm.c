//go:build cgo && (linux || darwin)

#include "gemm.h"

enum { block_rows = 32, block_cols = 64, block_depth = 128 };

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

// piece computes one row of a block's columns. Products are summed by 128, so that roundings stay few where k is large.
static void piece(const ml_product *p, size_t i, size_t from, size_t to) {
	float *y = p->y + i * p->y_row;
	for (size_t j = from; j < to; j++) y[j] = 0;
	for (size_t depth = 0; depth < p->k; depth += block_depth) {
		float sum[block_cols] = {0};
		for (size_t l = depth; l < least(depth + block_depth, p->k); l++) {
			float a = p->a[i * p->a_row + l * p->a_col];
			const float *b = p->b + l * p->b_row;
			for (size_t j = from; j < to; j++) sum[j - from] += a * b[j * p->b_col];
		}
		for (size_t j = from; j < to; j++) y[j] += p->alpha * sum[j - from];
	}
}

static void block(void *data, size_t index) {
	const ml_product *p = data;
	size_t first = index * block_rows;
	for (size_t j = 0; j < p->n; j += block_cols) {
		for (size_t i = first; i < least(first + block_rows, p->m); i++) piece(p, i, j, least(j + block_cols, p->n));
	}
}

int ml_gemm(const ml_pool *pool, const ml_product *p) {
	pool->run(pool, (p->m + block_rows - 1) / block_rows, block, (void *)p);
	return 0;
}
