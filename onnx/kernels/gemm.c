//go:build cgo && (linux || darwin)

#include "thin.h"

#include <stdatomic.h>

// width is what the processor's vectors allow.
typedef struct {
	ml_part *part;
	size_t rows, cols; // of a tile
	ml_thin_part *dots, *sums;
} width;

static width widest(void) {
	switch (ml_lanes()) {
#if defined(__x86_64__)
	case 16: return (width){ml_gemm_part_avx512, 12, 32, ml_thin_dots_avx512, ml_thin_sums_avx512};
	case 8: return (width){ml_gemm_part_avx2, 6, 16, ml_thin_dots_avx2, ml_thin_sums_avx2};
#endif
	default: return (width){ml_gemm_part_plain, 6, 8, ml_thin_dots_plain, ml_thin_sums_plain};
	}
}

// job is a product cut into a grid of parts.
typedef struct {
	const ml_product *p;
	width width;
	size_t row, col; // strides of y
	size_t down, across;
	atomic_int failed;
} job;

// cut is where the i-th of parts begins that n is cut into, at whole units.
static size_t cut(size_t n, size_t i, size_t parts, size_t unit) {
	size_t at = (n + unit - 1) / unit * i / parts * unit;
	return at < n ? at : n;
}

static void run(void *data, size_t i) {
	job *j = data;
	size_t r = i % j->down, c = i / j->down, m = j->p->m, n = j->p->n;
	size_t m0 = cut(m, r, j->down, j->width.rows), m1 = cut(m, r + 1, j->down, j->width.rows);
	size_t n0 = cut(n, c, j->across, j->width.cols), n1 = cut(n, c + 1, j->across, j->width.cols);
	if (m0 < m1 && n0 < n1 && j->width.part(j->p, j->row, j->col, m0, m1, n0, n1) != 0) atomic_store(&j->failed, 1);
}

// grid cuts a product into a part for each thread, so that they pack least: a part packs its rows of a and its columns of b, and
// what has to be transposed for it costs more. More parts, taken in turn, would meet what they read in another core's cache.
static void grid(job *j, size_t threads) {
	const double small = 4e6; // operations, some 20 microseconds
	const ml_product *p = j->p;
	const ml_term *t = &p->terms[0];
	size_t rows = (p->m + j->width.rows - 1) / j->width.rows, cols = (p->n + j->width.cols - 1) / j->width.cols;
	double most = 2.0 * p->m * p->n * t->k / small, least = 0;
	size_t parts = threads < 2 ? 1 : threads;
	if (most < parts) parts = most < 1 ? 1 : (size_t)most;
	j->down = j->across = 1;
	for (size_t down = 1; down <= parts; down++) {
		size_t across = parts / down;
		if (down > rows) break;
		if (across > cols) across = cols;
		double pack = (t->a.col == 1 && !t->a.mask ? 0.35 : 0.5) * p->m * across + (t->b.col == 1 ? 0.5 : 0.8) * p->n * down;
		double missing = (double)p->m * p->n / 16 * (parts - down * across) / parts; // threads that wait
		if (down == 1 || pack + missing < least) least = pack + missing, j->down = down, j->across = across;
	}
}

// transposed is yᵀ = bᵀ·aᵀ.
static ml_product transposed(const ml_product *p) {
	ml_product q = *p;
	ml_term *t = &q.terms[0];
	q.m = p->n, q.n = p->m;
	t->a = (ml_factor){p->terms[0].b.data, p->terms[0].b.col, p->terms[0].b.row, p->terms[0].b.mask};
	t->b = (ml_factor){p->terms[0].a.data, p->terms[0].a.col, p->terms[0].a.row, p->terms[0].a.mask};
	return q;
}

// thin_job is a thin product cut along its long side.
typedef struct {
	const ml_product *p;
	ml_thin_part *part;
	size_t row, col; // strides of y
	size_t parts;
	atomic_int failed;
} thin_job;

static void run_thin(void *data, size_t i) {
	enum { unit = 48 }; // whatever the width of vectors: so many are read together at most
	thin_job *j = data;
	size_t m0 = cut(j->p->m, i, j->parts, unit), m1 = cut(j->p->m, i + 1, j->parts, unit);
	if (m0 < m1 && j->part(j->p, j->row, j->col, m0, m1) != 0) atomic_store(&j->failed, 1);
}

// thin computes a product whose columns are few. y's element (i, j) lies at i*row + j*col.
static int thin(const ml_pool *pool, const ml_product *p, size_t row, size_t col) {
	const double small = 2e5; // elements of a, some 15 microseconds
	const width w = widest();
	thin_job j = {.p = p, .part = p->terms[0].a.col == 1 ? w.dots : w.sums, .row = row, .col = col, .parts = pool->threads < 2 ? 1 : pool->threads};
	double most = (double)p->m * p->terms[0].k / small;
	if (most < j.parts) j.parts = most < 1 ? 1 : (size_t)most;
	pool->run(pool, j.parts, run_thin, &j);
	return atomic_load(&j.failed) ? -1 : 0;
}

// is_thin tells whether thin is faster than tiles: where more columns are summed across vectors, b is read too often.
static int is_thin(const ml_product *p) {
	enum { few = 16 };
	return p->n <= p->m && p->n <= (p->terms[0].a.col == 1 ? few : ml_thin);
}

int ml_gemm(const ml_pool *pool, const ml_product *p) {
	job j = {.p = p, .width = widest(), .row = p->n, .col = 1};
	const ml_product turned = transposed(p);
	if (p->count == 1 && !p->bias && !p->terms[0].mask) {
		if (is_thin(p)) return thin(pool, p, p->n, 1);
		if (is_thin(&turned)) return thin(pool, &turned, 1, p->n);
		// A few columns would fill a part of a tile: they become rows.
		if (p->n <= ml_thin && p->n < p->m && !p->addend) j.p = &turned, j.row = 1, j.col = p->n;
	}
	grid(&j, pool->threads);
	pool->run(pool, j.down * j.across, run, &j);
	return atomic_load(&j.failed) ? -1 : 0;
}
