// The product of a part of the rows and columns on one thread, compiled once for each instruction set (see lanes.h).
//
// The loops are those of Goto and van de Geijn (2008): columns of b are packed into panels of NR, KC deep, that stay in the
// cache while rows of a go by, and a tile of MR x NR elements of y is summed in registers over a panel's whole depth.

#include "factor.h"

enum {
	MR = LANES == 16 ? 12 : 6, // rows of a tile; with NR the most for which sums and factors fit the registers
	NR = 2 * LANES,
	KC = 384,      // a panel of b, KC·NR floats, stays in the first cache
	MC = 16 * MR,  // rows of a that are packed, MC·KC floats, stay in the second
	NC = 768,
};

// tile is MR x NR elements of y, or fewer at an edge, and what they are made of.
typedef struct {
	const float *a, *b; // b packed: [k, NR]; a [row stride, 1], or packed [k, MR]
	size_t a_row, k;
	float alpha;
	const float *bias, *addend;
	const uint8_t *mask;
	float *y;
	size_t row, col; // strides of y; row is also that of addend and mask
	size_t cols;
} tile;

// finish puts the sums of a tile into y: at an edge, or where y is transposed, element by element.
static void finish(size_t rows, const tile *t, const float (*sum)[NR]) {
	if (t->cols == NR && t->col == 1) {
		for (size_t i = 0; i < rows; i++) {
			for (size_t j = 0; j < NR; j += LANES) {
				const size_t at = i * t->row + j;
				lanes x = load(&sum[i][j]) * t->alpha;
				if (t->bias) x += load(t->bias + j);
				if (t->mask) x *= kept(t->mask + at);
				if (t->addend) x += load(t->addend + at);
				store(t->y + at, x);
			}
		}
		return;
	}
	for (size_t i = 0; i < rows; i++) {
		for (size_t j = 0; j < t->cols; j++) {
			const size_t at = i * t->row + j * t->col;
			float x = sum[i][j] * t->alpha;
			if (t->bias) x += t->bias[j];
			if (t->mask) x *= t->mask[at];
			t->y[at] = t->addend ? x + t->addend[at] : x;
		}
	}
}

// multiply sums a tile over its depth. rows and packed are constants where it is inlined, so that sums stay in registers.
always void multiply(const int rows, const int packed, const tile *t, float (*to)[NR]) {
	lanes sum[MR][2];
#pragma GCC unroll 12
	for (int i = 0; i < rows; i++) {
		sum[i][0] = sum[i][1] = (lanes){0};
		__builtin_prefetch(t->y + i * t->row, 1); // written when the sums are done
		__builtin_prefetch(t->y + i * t->row + NR - 1, 1);
	}
	const size_t row = packed ? 1 : t->a_row, step = packed ? MR : 1;
	const float *b = t->b, *a[4] = {t->a, t->a + 3 * row, t->a + 6 * row, t->a + 9 * row};
	for (size_t k = 0; k < t->k; k++, b += NR) {
		const lanes b0 = *(const lanes *)b, b1 = *(const lanes *)(b + LANES);
		__builtin_prefetch(b + 8 * NR);
		if (LANES == 16) __builtin_prefetch(b + 8 * NR + LANES);
#pragma GCC unroll 12
		for (int i = 0; i < rows; i++) {
			const float x = a[i / 3][(i % 3) * row];
			sum[i][0] += x * b0;
			sum[i][1] += x * b1;
		}
#pragma GCC unroll 4
		for (int g = 0; g < (rows + 2) / 3; g++) a[g] += step;
	}
#pragma GCC unroll 12
	for (int i = 0; i < rows; i++) store(to[i], sum[i][0]), store(to[i] + LANES, sum[i][1]);
}

#define ROWS(n)                                      \
	case n:                                          \
		if (packed) multiply(n, 1, t, sum);         \
		else multiply(n, 0, t, sum);                \
		break;
static void tiled(size_t rows, int packed, const tile *t) {
	float sum[MR][NR] __attribute__((aligned(64)));
	switch (rows) {
		ROWS(1) ROWS(2) ROWS(3) ROWS(4) ROWS(5) ROWS(6)
#if defined(ML_AVX512)
		ROWS(7) ROWS(8) ROWS(9) ROWS(10) ROWS(11) ROWS(12)
#endif
	}
	finish(rows, t, sum);
}
#undef ROWS

// Exchange of lanes between two vectors: the step of a transposition that swaps blocks of S lanes.
#define LOW(l, S) ((l) & (S) ? LANES + (l) - (S) : (l))
#define HIGH(l, S) ((l) & (S) ? LANES + (l) : (l) + (S))
#if defined(ML_AVX512)
#define EACH(f, S) f(0, S), f(1, S), f(2, S), f(3, S), f(4, S), f(5, S), f(6, S), f(7, S), f(8, S), f(9, S), f(10, S), f(11, S), f(12, S), f(13, S), f(14, S), f(15, S)
#elif defined(ML_AVX2)
#define EACH(f, S) f(0, S), f(1, S), f(2, S), f(3, S), f(4, S), f(5, S), f(6, S), f(7, S)
#else
#define EACH(f, S) f(0, S), f(1, S), f(2, S), f(3, S)
#endif
#define EXCHANGE(S)                                                                       \
	_Pragma("GCC unroll 16") for (int i = 0; i < LANES; i++) if (!(i & (S))) {            \
		lanes x = r[i], y = r[i + (S)];                                                  \
		r[i] = __builtin_shufflevector(x, y, EACH(LOW, S));                               \
		r[i + (S)] = __builtin_shufflevector(x, y, EACH(HIGH, S));                        \
	}

// transpose writes to[i][j] = f at (from + i + j*stride), i and j below LANES; to's rows are NR apart.
always void transpose(const ml_factor *f, size_t from, size_t stride, float *to) {
	lanes r[LANES];
#pragma GCC unroll 16
	for (int j = 0; j < LANES; j++) r[j] = masked(f, from + j * stride);
	EXCHANGE(1)
	EXCHANGE(2)
#if defined(ML_AVX2) || defined(ML_AVX512)
	EXCHANGE(4)
#endif
#if defined(ML_AVX512)
	EXCHANGE(8)
#endif
#pragma GCC unroll 16
	for (int i = 0; i < LANES; i++) *(lanes *)(to + i * NR) = r[i];
}
#undef LOW
#undef HIGH
#undef EACH
#undef EXCHANGE

// panel packs rows [k0, k0+k) of b's columns [n0, n0+cols) as [k, NR], with zeros to the right.
static void panel(const ml_factor *b, size_t k0, size_t k, size_t n0, size_t cols, float *to) {
	const size_t from = k0 * b->row + n0 * b->col;
	size_t i = 0;
	if (cols == NR && b->col == 1) {
		for (; i < k; i++) {
			__builtin_prefetch(b->data + from + i * b->row + NR, 0, 2); // the next panel's
			__builtin_prefetch(b->data + from + i * b->row + NR + LANES, 0, 2);
			*(lanes *)(to + i * NR) = masked(b, from + i * b->row);
			*(lanes *)(to + i * NR + LANES) = masked(b, from + i * b->row + LANES);
		}
	}
	if (cols == NR && b->row == 1) {
		for (; i + LANES <= k; i += LANES) {
			transpose(b, from + i, b->col, to + i * NR);
			transpose(b, from + i + LANES * b->col, b->col, to + i * NR + LANES);
		}
	}
	for (; i < k; i++) {
		for (size_t j = 0; j < NR; j++) to[i * NR + j] = j < cols ? one(b, from + i * b->row + j * b->col) : 0;
	}
}

// stripe packs rows [m0, m0+rows) of a's columns [k0, k0+k) as stripes of MR rows, each [k, MR].
static void stripe(const ml_factor *a, size_t m0, size_t rows, size_t k0, size_t k, float *to) {
	for (size_t i = 0; i < rows; i += MR, to += k * MR) {
		const size_t from = (m0 + i) * a->row + k0 * a->col, mr = rows - i < MR ? rows - i : MR;
		if (mr == MR && a->row == 1 && !a->mask) {
			for (size_t l = 0; l < k; l++) {
				__builtin_prefetch(a->data + from + l * a->col + 2 * MR, 0, 2); // the next stripes'
				__builtin_memcpy(to + l * MR, a->data + from + l * a->col, MR * sizeof *to);
			}
			continue;
		}
		for (size_t l = 0; l < k; l++) {
			for (size_t r = 0; r < mr; r++) to[l * MR + r] = one(a, from + r * a->row + l * a->col);
		}
	}
}

// layer is the rows [m0, m1) and columns [n0, n1) of one term over a depth [k0, k0+k), whose panels of b lie packed.
typedef struct {
	const ml_term *term;
	const float *panels, *stripes;
	size_t k0, k;
	int direct; // a is read where it lies
} layer;

static void put(const layer *l, tile *t, size_t rows, size_t m, size_t i, size_t j) {
	t->b = l->panels + j * l->k;
	t->k = l->k;
	t->alpha = l->term->alpha;
	t->a_row = l->term->a.row;
	t->a = l->direct ? l->term->a.data + (m + i) * t->a_row + l->k0 : l->stripes + i * l->k;
	tiled(rows, !l->direct, t);
}

// begin packs what a layer needs besides stripes of a.
static layer begin(const ml_term *term, size_t k0, size_t n0, size_t cols, float *panels, float *stripes) {
	layer l = {term, panels, stripes, k0, term->k - k0 < KC ? term->k - k0 : KC, term->a.col == 1 && !term->a.mask};
	for (size_t j = 0; j < cols; j += NR) panel(&term->b, k0, l.k, n0 + j, cols - j < NR ? cols - j : NR, panels + j * l.k);
	return l;
}

enum { panels_size = (KC + ml_thin) * NC, stripes_size = (KC + ml_thin) * MC };

// part computes rows [m0, m1) and columns [n0, n1) of a product. y's element (i, j) lies at i*row + j*col.
int ML_NAME(ml_gemm_part)(const ml_product *p, size_t row, size_t col, size_t m0, size_t m1, size_t n0, size_t n1) {
	float *room = ml_scratch(panels_size + stripes_size);
	if (room == NULL) return -1;
	float *thin = room + KC * NC, *stripes = room + panels_size, *thin_stripes = stripes + KC * MC;
	for (size_t jc = n0; jc < n1; jc += NC) {
		const size_t cols = n1 - jc < NC ? n1 - jc : NC;
		for (size_t k0 = 0; k0 == 0 || k0 < p->terms[0].k; k0 += KC) {
			const int last = k0 + KC >= p->terms[0].k && p->count > 1;
			layer l = begin(&p->terms[0], k0, jc, cols, room, stripes), extra = {0};
			if (last) extra = begin(&p->terms[1], 0, jc, cols, thin, thin_stripes);
			for (size_t ic = m0; ic < m1; ic += MC) {
				const size_t rows = m1 - ic < MC ? m1 - ic : MC;
				if (!l.direct) stripe(&l.term->a, ic, rows, k0, l.k, stripes);
				if (last && !extra.direct) stripe(&extra.term->a, ic, rows, 0, extra.k, thin_stripes);
				for (size_t j = 0; j < cols; j += NR) {
					for (size_t i = 0; i < rows; i += MR) {
						const size_t at = (ic + i) * row + (jc + j) * col, mr = rows - i < MR ? rows - i : MR;
						tile t = {.y = p->y + at, .row = row, .col = col, .cols = cols - j < NR ? cols - j : NR};
						t.mask = l.term->mask ? l.term->mask + at : NULL;
						t.bias = k0 == 0 && p->bias ? p->bias + jc + j : NULL;
						t.addend = k0 > 0 ? t.y : p->addend ? p->addend + at : NULL;
						put(&l, &t, mr, ic, i, j);
						if (!last) continue;
						t.bias = NULL, t.addend = t.y, t.mask = extra.term->mask ? extra.term->mask + at : NULL;
						put(&extra, &t, mr, ic, i, j);
					}
				}
			}
		}
	}
	return 0;
}
