//go:build cgo && (linux || darwin)

#include "blocks.h"

#include <stdlib.h>
#include <string.h>

// block_elements is the least size of a block, some 10 microseconds of work. Where rows are summed, a block has 32 to 128 of
// them: each costs a row of sums, and all are summed in float.
enum { block_elements = 24576, least_rows = 32, most_rows = 128, column_chunk = 1024 };

typedef struct {
	size_t rows, block_rows, blocks, width;
	ml_block *f;
	const void *data;
	float *partial; // [blocks, width]
	float *sums;    // [width]
} blocks;

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static void run_block(void *data, size_t index) {
	const blocks *b = data;
	float *sums = b->width == 0 ? NULL : b->partial + index * b->width;
	if (sums != NULL) memset(sums, 0, b->width * sizeof *sums);
	size_t first = index * b->block_rows;
	b->f(b->data, first, smaller(first + b->block_rows, b->rows), sums);
}

static void add_partial(void *data, size_t index) {
	const blocks *b = data;
	double sum[column_chunk] = {0};
	size_t first = index * column_chunk, n = smaller(column_chunk, b->width - first);
	for (size_t i = 0; i < b->blocks; i++) {
		const float *partial = b->partial + i * b->width + first;
		for (size_t j = 0; j < n; j++) sum[j] += partial[j];
	}
	for (size_t j = 0; j < n; j++) b->sums[first + j] = sum[j];
}

int ml_blocks(const ml_pool *pool, size_t rows, size_t n, ml_block *f, const void *data, float *sums, size_t width) {
	blocks b = {.rows = rows, .width = width, .f = f, .data = data, .sums = sums};
	b.block_rows = block_elements / (n + 1) + 1;
	if (width > 0 && b.block_rows < least_rows) b.block_rows = least_rows;
	if (width > 0 && b.block_rows > most_rows) b.block_rows = most_rows;
	b.blocks = (rows + b.block_rows - 1) / b.block_rows;
	if (width > 0 && b.blocks > 0) {
		b.partial = malloc(b.blocks * width * sizeof *b.partial);
		if (b.partial == NULL) return -1;
	}
	if (b.blocks > 0) pool->run(pool, b.blocks, run_block, &b);
	if (width > 0) pool->run(pool, (width + column_chunk - 1) / column_chunk, add_partial, &b);
	free(b.partial);
	return 0;
}
