//go:build cgo && (linux || darwin)

#include "gemm.h"

enum { block_rows = 32 };

static void block(void *data, size_t index) {
	const ml_product *p = data;
	size_t first = index * block_rows, last = first + block_rows < p->m ? first + block_rows : p->m;
	for (size_t i = first; i < last; i++) {
		float *y = p->y + i * p->y_row;
		for (size_t j = 0; j < p->n; j++) y[j] = 0;
		for (size_t l = 0; l < p->k; l++) {
			float a = p->alpha * p->a[i * p->a_row + l * p->a_col];
			const float *b = p->b + l * p->b_row;
			for (size_t j = 0; j < p->n; j++) y[j] += a * b[j * p->b_col];
		}
	}
}

int ml_gemm(const ml_pool *pool, const ml_product *p) {
	pool->run(pool, (p->m + block_rows - 1) / block_rows, block, (void *)p);
	return 0;
}
