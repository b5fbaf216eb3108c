// The product of a part of the rows and columns on one thread, compiled once for each instruction set (see lanes.h).
//
// The loops are those of Goto and van de Geijn (2008): columns of b are packed into panels of NR, KC deep, that stay in the
// cache while rows of a go by, and a tile of MR x NR elements of y is summed in registers over a panel's whole depth. Rows of a
// are read where they lie, or packed once for all columns where they cannot be. Within a step all of this comes from memory or
// another core, and y goes there: what is needed next is called in a few lines at a time, since a core waits for few at once.

#include "factor.h"

enum {
	MR = LANES == 16 ? 12 : 6, // rows of a tile; with NR the most for which sums and factors fit the registers
	NR = 2 * LANES,
	KC = LANES == 16 ? 768 : 384, // a panel of b, KC·NR floats, streams from the second cache or stays in the first
	NC = LANES == 16 ? 384 : 768, // panels, KC·NC floats, and MC rows of a stay in the second
	MC = (LANES == 16 ? 4 : 16) * MR,
	RC = 1536,    // rows of a that are packed at once
	CHUNK = 16,   // of a tile's depth, between what is called in
	LINE = 16,    // floats
};

// ahead is memory that is read next: rows of lines of the cache.
typedef struct {
	const float *at;
	size_t left, lines, rows, stride; // lines left of this row and of each; rows, with this one; floats between their starts
} ahead;

static ahead region(const float *at, size_t rows, size_t cols, size_t stride) {
	const size_t lines = (cols + LINE - 1) / LINE;
	return (ahead){at, lines, lines, lines > 0 ? rows : 0, stride};
}

// call_in has the next two lines brought into the second cache.
always void call_in(ahead *h) {
	for (int i = 0; i < 2 && h->rows > 0; i++) {
		__builtin_prefetch(h->at, 0, 2);
		h->at += LINE;
		if (--h->left > 0) continue;
		h->at += (ptrdiff_t)h->stride - (ptrdiff_t)(h->lines * LINE);
		h->left = h->lines;
		h->rows--;
	}
}

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
	ahead *next;
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

// call_row has what finish reads and writes of a row brought into the first cache.
always void call_row(const tile *t, size_t i) {
	const size_t at = i * t->row;
	__builtin_prefetch(t->y + at, 1);
	__builtin_prefetch(t->y + at + NR - 1, 1);
	if (t->mask) __builtin_prefetch(t->mask + at);
	if (t->addend == NULL || t->addend == t->y) return;
	__builtin_prefetch(t->addend + at);
	__builtin_prefetch(t->addend + at + NR - 1);
}

// multiply sums a tile over its depth. rows and packed are constants where it is inlined, so that sums stay in registers.
always void multiply(const int rows, const int packed, const tile *t, float (*to)[NR]) {
	lanes sum[MR][2];
#pragma GCC unroll 12
	for (int i = 0; i < rows; i++) sum[i][0] = sum[i][1] = (lanes){0};
	const size_t row = packed ? 1 : t->a_row, step = packed ? MR : 1;
	const float *b = t->b, *a[4] = {t->a, t->a + 3 * row, t->a + 6 * row, t->a + 9 * row};
	int called = 0;
	for (size_t k = 0; k < t->k;) {
		const size_t end = t->k - k < CHUNK ? t->k : k + CHUNK;
		if (called < rows) call_row(t, called++);
		call_in(t->next);
		for (; k < end; k++, b += NR) {
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

// few is MR elements of a factor from place at on.
always void few(const ml_factor *f, size_t at, float *to) {
	if (f->mask == NULL) {
		__builtin_memcpy(to, f->data + at, MR * sizeof *to);
		return;
	}
	for (size_t r = 0; r < MR; r++) to[r] = f->data[at + r] * f->mask[at + r];
}

// stripe packs rows [m0, m0+rows) of a's columns [k0, k0+k) as stripes of MR rows, each [k, MR].
static void stripe(const ml_factor *a, size_t m0, size_t rows, size_t k0, size_t k, float *to) {
	enum { deep = 8 }; // few enough that lines which two stripes share stay in the first cache
	const size_t from = m0 * a->row + k0 * a->col, whole = a->row == 1 ? rows / MR * MR : 0;
	for (size_t l0 = 0; l0 < k; l0 += deep) {
		const size_t l1 = k - l0 < deep ? k : l0 + deep;
		for (size_t i = 0; i < whole; i += MR) {
			for (size_t l = l0; l < l1; l++) {
				__builtin_prefetch(a->data + from + i + (l + deep) * a->col);
				few(a, from + i + l * a->col, to + i * k + l * MR);
			}
		}
	}
	for (size_t i = whole; i < rows; i += MR) {
		const size_t mr = rows - i < MR ? rows - i : MR;
		for (size_t l = 0; l < k; l++) {
			for (size_t r = 0; r < mr; r++) to[i * k + l * MR + r] = one(a, from + (i + r) * a->row + l * a->col);
		}
	}
}

// unmask copies rows [m0, m0+rows) of a's columns [k0, k0+k), without gaps in a row, with its mask applied, as [rows, k].
static void unmask(const ml_factor *a, size_t m0, size_t rows, size_t k0, size_t k, float *to) {
	for (size_t i = 0; i < rows; i++) {
		const size_t from = (m0 + i) * a->row + k0;
		size_t l = 0;
		for (; l + LANES <= k; l += LANES) store(to + i * k + l, masked(a, from + l));
		for (; l < k; l++) to[i * k + l] = one(a, from + l);
	}
}

// layer is a term over a depth [k0, k0+k): rows from m0 on, whose a lies at the stripes if it had to be copied, and columns
// whose b lies in panels.
typedef struct {
	const ml_term *term;
	float *panels, *stripes;
	size_t m0, k0, k;
	const float *a; // as in tile
	size_t a_row;
	int copied, packed;
} layer;

static int copies(const ml_factor *a) { return a->col != 1 || a->mask != NULL; }

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static layer over(const ml_term *term, size_t m0, size_t k0, size_t deep, float *panels, float *stripes) {
	const ml_factor *a = &term->a;
	layer l = {term, panels, stripes, m0, k0, smaller(deep, term->k - k0), stripes, .copied = copies(a), .packed = a->col != 1};
	l.a_row = l.k;
	if (!l.copied) l.a = a->data + m0 * a->row + k0, l.a_row = a->row;
	return l;
}

// pack packs columns [n, n+cols) of b.
static void pack(const layer *l, size_t n, size_t cols) {
	for (size_t j = 0; j < cols; j += NR) panel(&l->term->b, l->k0, l->k, n + j, smaller(NR, cols - j), l->panels + j * l->k);
}

// copy copies rows [i, i+rows) of a where it has to be.
static void copy(const layer *l, size_t i, size_t rows) {
	if (l->packed) stripe(&l->term->a, l->m0 + i, rows, l->k0, l->k, l->stripes + i * l->k);
	else if (l->copied) unmask(&l->term->a, l->m0 + i, rows, l->k0, l->k, l->stripes + i * l->k);
}

// coming is where rows [i, i+rows) of a are read when their turn comes: ready says that they are copied.
static ahead coming(const layer *l, size_t i, size_t rows, int ready) {
	const ml_factor *a = &l->term->a;
	if (l->copied && ready) return region(l->a + i * l->k, 1, rows * l->k, 0);
	const float *at = a->data + (l->m0 + i) * a->row + l->k0 * a->col;
	return l->packed ? region(at, l->k, rows, a->col) : region(at, rows, l->k, a->row);
}

static void put(const layer *l, tile *t, size_t rows, size_t i, size_t j) {
	t->b = l->panels + j * l->k;
	t->k = l->k;
	t->alpha = l->term->alpha;
	t->a_row = l->a_row;
	t->a = l->a + i * l->a_row;
	tiled(rows, l->packed, t);
}

// slab is rows [m0, m0+rows) and columns [n0, n1) of a product over the depth of its layers. y's element (i, j) lies at
// i*row + j*col.
typedef struct {
	const ml_product *p;
	layer layers[2];
	size_t count; // of the layers: the second term is added with the end of the first
	size_t row, col, m0, rows, n0, n1;
} slab;

// tiles adds rows [i0, i0+rows) and columns [n, n+cols) of a slab, whose panels are packed.
static void tiles(const slab *s, size_t i0, size_t rows, size_t n, size_t cols, ahead *next) {
	const ml_product *p = s->p;
	for (size_t j = 0; j < cols; j += NR) {
		for (size_t i = i0; i < i0 + rows; i += MR) {
			const size_t at = (s->m0 + i) * s->row + (n + j) * s->col;
			tile t = {.y = p->y + at, .row = s->row, .col = s->col, .cols = smaller(NR, cols - j), .next = next};
			t.bias = s->layers[0].k0 == 0 && p->bias ? p->bias + n + j : NULL;
			t.addend = s->layers[0].k0 > 0 ? t.y : p->addend ? p->addend + at : NULL;
			for (size_t l = 0; l < s->count; l++) {
				const uint8_t *mask = s->layers[l].term->mask;
				t.mask = mask ? mask + at : NULL;
				put(&s->layers[l], &t, smaller(MR, i0 + rows - i), i, j);
				t.bias = NULL, t.addend = t.y;
			}
		}
	}
}

static void add_slab(const slab *s) {
	for (size_t n = s->n0; n < s->n1; n += NC) {
		const size_t cols = smaller(NC, s->n1 - n);
		for (size_t l = 0; l < s->count; l++) pack(&s->layers[l], n, cols);
		for (size_t i = 0; i < s->rows; i += MC) {
			const size_t rows = smaller(MC, s->rows - i), end = i + rows;
			for (size_t l = 0; l < s->count && n == s->n0; l++) copy(&s->layers[l], i, rows);
			ahead next = {0};
			if (end < s->rows) next = coming(&s->layers[0], end, smaller(MC, s->rows - end), n > s->n0);
			tiles(s, i, rows, n, cols, &next);
		}
	}
}

// depth cuts k into equal blocks of at most KC.
static size_t depth(size_t k) {
	const size_t blocks = k == 0 ? 1 : (k + KC - 1) / KC, even = (k + blocks - 1) / blocks;
	return even == 0 ? 1 : (even + LANES - 1) / LANES * LANES;
}

// part computes rows [m0, m1) and columns [n0, n1) of a product. y's element (i, j) lies at i*row + j*col.
int ML_NAME(ml_gemm_part)(const ml_product *p, size_t row, size_t col, size_t m0, size_t m1, size_t n0, size_t n1) {
	const ml_term *first = &p->terms[0], *second = &p->terms[1];
	const int copied = copies(&first->a) || (p->count > 1 && copies(&second->a));
	const size_t deep = depth(first->k), most = copied ? smaller(RC, m1 - m0) : m1 - m0;
	const size_t room_rows = copied ? (most + MR - 1) / MR * MR : 0;
	float *panels = ml_scratch((KC + ml_thin) * (NC + room_rows));
	if (panels == NULL) return -1;
	float *thin_panels = panels + KC * NC, *stripes = thin_panels + ml_thin * NC, *thin_stripes = stripes + KC * room_rows;
	for (size_t k0 = 0; k0 == 0 || k0 < first->k; k0 += deep) {
		for (size_t m = m0; m < m1; m += most) {
			slab s = {.p = p, .count = 1, .row = row, .col = col, .m0 = m, .rows = smaller(most, m1 - m), .n0 = n0, .n1 = n1};
			s.layers[0] = over(first, m, k0, deep, panels, stripes);
			if (p->count > 1 && k0 + deep >= first->k) s.layers[s.count++] = over(second, m, 0, ml_thin, thin_panels, thin_stripes);
			add_slab(&s);
		}
	}
	return 0;
}
