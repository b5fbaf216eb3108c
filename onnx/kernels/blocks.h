// Rows of a matrix, worked on in blocks by the threads of a pool, with sums over all rows.
#ifndef METALORA_BLOCKS_H
#define METALORA_BLOCKS_H

#include "pool.h"

// ml_block works on the rows from first up to last. sums [width], zero at first, is to get what it sums over these rows.
typedef void ml_block(const void *data, size_t first, size_t last, float *sums);

// ml_blocks runs a function over blocks of rows of n elements. Where width is not 0 it adds up the sums of all blocks into
// sums [width], in double and in order. Blocks depend on the sizes alone, so that sums do not depend on the number of threads. It
// returns 0, or -1 where there is no memory to work in.
int ml_blocks(const ml_pool *pool, size_t rows, size_t n, ml_block *f, const void *data, float *sums, size_t width);

#endif
