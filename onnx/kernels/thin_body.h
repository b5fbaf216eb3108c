// Thin products on one thread, compiled once for each instruction set (see lanes.h). The large factor is read once and where it
// lies, at the speed of memory, while a group of the result's columns is summed in registers: as long as there are few groups.

#include "factor.h"
#include "shuffle.h"

enum {
	GROUP = LANES == 16 ? 8 : 4, // columns of a group; with HIGH the most for which sums and factors fit the registers
	HIGH = 3,                    // rows of the large factor that meet a group at a time, or vectors of its columns
	WIDE = 1536,                 // columns whose sums lie beside until they are complete
};

always size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
always size_t padded(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

// some is masked for the first k lanes; the others are 0.
static lanes some(const ml_factor *f, size_t at, size_t k) {
	if (k >= LANES) return masked(f, at);
	lanes x = {0};
	for (size_t i = 0; i < k; i++) x[i] = one(f, at + i);
	return x;
}

// finish puts a sum into y.
always void finish(const ml_product *p, const float *addend, size_t at, float sum) {
	const float x = sum * p->terms[0].alpha;
	p->y[at] = addend ? x + addend[at] : x;
}

// ---- a lies along k: sums across the lanes of vectors

// depth_of is how many products are summed before they go to y: at most 192 in a lane. One group of b may come from the second
// cache, since a comes from farther; two have to stay in the first.
always size_t depth_of(size_t n) { return n <= 8 ? 192 * LANES : 384; }

// pack_columns writes b's rows [k0, k0+k) as [groups][vectors of k][GROUP][LANES], with zeros where there are none.
static void pack_columns(const ml_factor *b, size_t n, size_t k0, size_t k, float *to) {
	const size_t vectors = padded(k, LANES) / LANES;
	memset(to, 0, padded(n, GROUP) * vectors * LANES * sizeof *to);
	for (size_t j = 0; j < n; j++) {
		float *column = to + (j / GROUP * vectors * GROUP + j % GROUP) * LANES;
		const size_t from = k0 * b->row + j * b->col;
		if (b->row == 1) {
			for (size_t l = 0; l < k; l += LANES) store(column + l * GROUP, some(b, from + l, k - l));
		} else {
			for (size_t l = 0; l < k; l++) column[l / LANES * LANES * GROUP + l % LANES] = one(b, from + l * b->row);
		}
	}
}

// across adds the lanes of each of GROUP vectors: the first GROUP lanes of the result.
always lanes across(const lanes *v) {
	lanes s[GROUP / 2];
	for (int i = 0; i < GROUP / 2; i++) s[i] = SHUFFLE(v[2 * i], v[2 * i + 1], LOWER1) + SHUFFLE(v[2 * i], v[2 * i + 1], UPPER1);
	for (int i = 0; i < GROUP / 4; i++) s[i] = SHUFFLE(s[2 * i], s[2 * i + 1], LOWER2) + SHUFFLE(s[2 * i], s[2 * i + 1], UPPER2);
#if defined(ML_AVX512)
	s[0] = SHUFFLE(s[0], s[1], LOWER4) + SHUFFLE(s[0], s[1], UPPER4);
	return s[0] + SHUFFLE(s[0], s[0], AWAY8);
#elif defined(ML_AVX2)
	return s[0] + SHUFFLE(s[0], s[0], AWAY4);
#else
	return s[0];
#endif
}

// dot adds a vector of each of so many rows of a, k lanes of it, times a group of columns.
always void dot(const int rows, const ml_factor *a, size_t at, size_t k, const float *b, lanes (*sum)[GROUP]) {
	lanes x[HIGH];
#pragma GCC unroll 3
	for (int i = 0; i < rows; i++) {
		__builtin_prefetch(a->data + at + (i + HIGH) * a->row); // for the next rows
		x[i] = k < LANES ? some(a, at + i * a->row, k) : masked(a, at + i * a->row);
	}
#pragma GCC unroll 8
	for (int j = 0; j < GROUP; j++) {
		const lanes c = *(const lanes *)(b + j * LANES);
#pragma GCC unroll 3
		for (int i = 0; i < rows; i++) sum[i][j] += x[i] * c;
	}
}

// dots writes the sums of rows of a, from place at on, times a group of packed columns over a depth k.
always void dots(const int rows, const ml_factor *a, size_t at, size_t k, const float *b, float (*to)[LANES]) {
	lanes sum[HIGH][GROUP];
#pragma GCC unroll 3
	for (int i = 0; i < rows; i++) {
#pragma GCC unroll 8
		for (int j = 0; j < GROUP; j++) sum[i][j] = (lanes){0};
	}
	size_t l = 0;
	for (; l + LANES <= k; l += LANES, b += GROUP * LANES) dot(rows, a, at + l, LANES, b, sum);
	if (l < k) dot(rows, a, at + l, k - l, b, sum);
#pragma GCC unroll 3
	for (int i = 0; i < rows; i++) store(to[i], across(sum[i]));
}

// row_dots are dots of HIGH rows or of one, with and without masks.
static void row_dots(size_t rows, const ml_factor *a, size_t at, size_t k, const float *b, float (*to)[LANES]) {
	const ml_factor bare = {a->data, a->row, 1, NULL};
	if (rows < HIGH) dots(1, a, at, k, b, to);
	else if (a->mask) dots(HIGH, a, at, k, b, to);
	else dots(HIGH, &bare, at, k, b, to);
}

int ML_NAME(ml_thin_dots)(const ml_product *p, size_t row, size_t col, size_t m0, size_t m1) {
	const ml_term *t = &p->terms[0];
	const size_t depth = depth_of(p->n);
	float *packed = ml_scratch(padded(p->n, GROUP) * depth), sum[HIGH][LANES];
	if (packed == NULL) return -1;
	for (size_t k0 = 0; k0 == 0 || k0 < t->k; k0 += depth) {
		const size_t k = smaller(t->k - k0, depth);
		const float *addend = k0 > 0 ? p->y : p->addend;
		pack_columns(&t->b, p->n, k0, k, packed);
		for (size_t i = m0, rows; i < m1; i += rows) {
			rows = m1 - i < HIGH ? 1 : HIGH;
			for (size_t j = 0; j < p->n; j += GROUP) {
				row_dots(rows, &t->a, i * t->a.row + k0, k, packed + j * padded(k, LANES), sum);
				for (size_t r = 0; r < rows; r++) {
					for (size_t c = j; c < smaller(p->n, j + GROUP); c++) finish(p, addend, (i + r) * row + c * col, sum[r][c - j]);
				}
			}
		}
	}
	return 0;
}

// ---- a lies along m: sums in the lanes of vectors

// block_terms is how many products are summed in a register before they join the others: few, so that a is read almost row by
// row, but enough that neither fetching and storing sums nor their roundings count.
always size_t block_terms(size_t n, size_t k) { return padded(k / 512 > n ? k / 512 : n, 8); }

// rows is a block of the small factor: row l at data + l*row, in groups of which no element is missing.
typedef struct {
	const float *data;
	size_t row, k;
} rows;

// whole_rows is b's rows [k0, k0+k): as they lie where they can be read so, else packed, with zeros to the right.
static rows whole_rows(const ml_factor *b, size_t n, size_t k0, size_t k, float *packed) {
	if (b->col == 1 && !b->mask && n % GROUP == 0) return (rows){b->data + k0 * b->row, b->row, k};
	const size_t row = padded(n, GROUP);
	for (size_t l = 0; l < k; l++) {
		for (size_t j = 0; j < row; j++) packed[l * row + j] = j < n ? one(b, (k0 + l) * b->row + j * b->col) : 0;
	}
	return (rows){packed, row, k};
}

// sums adds to [GROUP][WIDE] what a block of a, from place at on, gives with a group of columns of b. cols is how many elements
// the last vector has.
always void sums(const int vectors, const ml_factor *a, size_t at, size_t cols, const rows *b, const float *group, float *to) {
	const size_t next = b->k * a->col; // the next block's place
	lanes sum[GROUP][HIGH];
#pragma GCC unroll 8
	for (int j = 0; j < GROUP; j++) {
#pragma GCC unroll 3
		for (int v = 0; v < vectors; v++) sum[j][v] = (lanes){0};
	}
	for (size_t l = 0; l < b->k; l++, group += b->row, at += a->col) {
		lanes x[HIGH];
		if (a->mask) __builtin_prefetch(a->mask + at + next);
#pragma GCC unroll 3
		for (int v = 0; v < vectors; v++) {
			__builtin_prefetch(a->data + at + next + v * LANES);
			x[v] = cols < LANES ? some(a, at, cols) : masked(a, at + v * LANES);
		}
#pragma GCC unroll 8
		for (int j = 0; j < GROUP; j++) {
#pragma GCC unroll 3
			for (int v = 0; v < vectors; v++) sum[j][v] += x[v] * group[j];
		}
	}
#pragma GCC unroll 8
	for (int j = 0; j < GROUP; j++, to += WIDE) {
#pragma GCC unroll 3
		for (int v = 0; v < vectors; v++) store(to + v * LANES, load(to + v * LANES) + sum[j][v]);
	}
}

// add_block adds to [groups][GROUP][WIDE] what a block of b gives with so many columns of a, from place at on.
static void add_block(const ml_factor *a, size_t at, size_t wide, const rows *b, size_t n, float *to) {
	const ml_factor bare = {a->data, 1, a->col, NULL};
	for (size_t i = 0, cols; i < wide; i += cols) {
		cols = wide - i < HIGH * LANES ? smaller(wide - i, LANES) : HIGH * LANES;
		for (size_t j = 0; j < n; j += GROUP) {
			float *sum = to + j * WIDE + i;
			if (cols < HIGH * LANES) sums(1, a, at + i, cols, b, b->data + j, sum);
			else if (a->mask) sums(HIGH, a, at + i, LANES, b, b->data + j, sum);
			else sums(HIGH, &bare, at + i, LANES, b, b->data + j, sum);
		}
	}
}

int ML_NAME(ml_thin_sums)(const ml_product *p, size_t row, size_t col, size_t m0, size_t m1) {
	const ml_term *t = &p->terms[0];
	const size_t terms = block_terms(p->n, t->k), size = padded(p->n, GROUP) * WIDE;
	float *sum = ml_scratch(size + padded(p->n, GROUP) * terms);
	if (sum == NULL) return -1;
	for (size_t i0 = m0; i0 < m1; i0 += WIDE) {
		const size_t wide = smaller(m1 - i0, WIDE);
		memset(sum, 0, size * sizeof *sum);
		for (size_t k0 = 0; k0 < t->k; k0 += terms) {
			const rows b = whole_rows(&t->b, p->n, k0, smaller(t->k - k0, terms), sum + size);
			add_block(&t->a, k0 * t->a.col + i0, wide, &b, p->n, sum);
		}
		for (size_t j = 0; j < p->n; j++) {
			for (size_t i = 0; i < wide; i++) finish(p, p->addend, (i0 + i) * row + j * col, sum[j * WIDE + i]);
		}
	}
	return 0;
}
