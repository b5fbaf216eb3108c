// Attention for one row and head, written for vectors of LANES floats. attention.c includes this once for each set of
// instructions; NAME gives functions the set's own names. There is no include guard.
//
// All products go through one kernel that computes a tile of up to tile_rows rows by two vectors of columns in registers. Its
// right factor lies in panels of panel columns, zero where there are none: [panels][k][panel].

typedef float NAME(vec) __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t NAME(ivec) __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint8_t NAME(bvec) __attribute__((vector_size(LANES), aligned(1), may_alias));
#define vec NAME(vec)
#define ivec NAME(ivec)
#define bvec NAME(bvec)

enum { NAME(panel) = 2 * LANES };
#define panel NAME(panel)

INL vec NAME(load)(const float *p) { return *(const vec *)p; }
INL void NAME(store)(float *p, vec x) { *(vec *)p = x; }
#define load NAME(load)
#define store NAME(store)

INL size_t NAME(padded)(size_t n) { return (n + LANES - 1) / LANES * LANES; }
INL size_t NAME(panels)(size_t n) { return (n + panel - 1) / panel; }
#define padded NAME(padded)
#define panels NAME(panels)

// Folding a vector to one number: its halves, their halves, and so on, each element of the result in lane 0.
#define fold(x, op)                                                                   \
	do {                                                                              \
		vec other;                                                                    \
		if (LANES >= 16) other = SHUFFLE(x, x, AWAY8), x = op(x, other);              \
		if (LANES >= 8) other = SHUFFLE(x, x, AWAY4), x = op(x, other);               \
		other = SHUFFLE(x, x, AWAY2), x = op(x, other);                               \
		other = SHUFFLE(x, x, AWAY1), x = op(x, other);                               \
	} while (0)

INL vec NAME(plus)(vec a, vec b) { return a + b; }
INL vec NAME(select)(ivec where, vec a, vec b) { return (vec)(((ivec)a & where) | ((ivec)b & ~where)); }
INL vec NAME(greater)(vec a, vec b) { return NAME(select)(a > b, a, b); }

INL float NAME(sum)(vec x) {
	fold(x, NAME(plus));
	return x[0];
}

INL float NAME(greatest)(vec x) {
	fold(x, NAME(greater));
	return x[0];
}

// exponential is e^x for x <= 0, within 2 units in the last place down to 2^-126 and 0 below; NaN stays NaN.
INL vec NAME(exponential)(vec x) {
	const vec t = x * 1.44269504088896341f + 12582912.0f; // 1.5·2^23: the sum's low bits are the nearest whole number
	const vec n = t - 12582912.0f;
	const vec r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
	vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
	p = p * r + 8.3334519073e-3f;
	p = p * r + 4.1665795894e-2f;
	p = p * r + 1.6666665459e-1f;
	p = p * r + 5.0000001201e-1f;
	p = p * (r * r) + (r + 1.0f);
	const vec y = (vec)((ivec)p + ((ivec)t << 23)); // times 2^n
	return (vec)((ivec)y & ~(x < -87.33654f));
}

// ending says what becomes of a tile: y = factor · sums + bias + y, with a factor for each row or for all.
typedef struct {
	float factor;
	const float *factors;    // one for each row, or NULL
	const float *bias;       // of the same columns; NULL: none
	size_t bias_row;         // from one row to the next
	bool add;                // y's own elements count
} NAME(ending);
#define ending NAME(ending)

// tile is mr rows by nv vectors. Element (i, l) of a lies at a[i*row + l*step]; along says that step is 1, else row is.
INL void NAME(tile)(const size_t mr, const size_t nv, const bool along, const float *a, size_t stride, size_t k, const float *b, float *y,
                    size_t y_row, const ending *e) {
	const size_t row = along ? stride : 1, step = along ? 1 : stride;
	const float *a3 = a + 3 * row, *a6 = a + 6 * row, *a9 = a + 9 * row;
	vec sums[tile_rows][2];
	UNROLL for (size_t i = 0; i < mr; i++) sums[i][0] = sums[i][1] = (vec){0};
	for (size_t l = 0; l < k; l++, b += panel, a += step, a3 += step, a6 += step, a9 += step) {
		const vec b0 = load(b), b1 = nv > 1 ? load(b + LANES) : (vec){0};
		UNROLL for (size_t i = 0; i < mr; i++) {
			const float *third = i < 3 ? a : i < 6 ? a3 : i < 9 ? a6 : a9;
			const float x = third[i % 3 * row];
			sums[i][0] += x * b0;
			if (nv > 1) sums[i][1] += x * b1;
		}
	}
	UNROLL for (size_t i = 0; i < mr; i++) {
		const float factor = e->factors != NULL ? e->factors[i] : e->factor;
		UNROLL for (size_t j = 0; j < nv; j++) {
			float *to = y + i * y_row + j * LANES;
			vec rest = {0};
			if (e->bias != NULL) rest = load(e->bias + i * e->bias_row + j * LANES);
			if (e->add) rest += load(to);
			store(to, sums[i][j] * factor + rest);
		}
	}
}

#define TILE(rows) \
	case rows: NAME(tile)(rows, nv, along, a, stride, k, b, y, y_row, e); break;

INL void NAME(tile_of)(size_t mr, const size_t nv, const bool along, const float *a, size_t stride, size_t k, const float *b, float *y,
                       size_t y_row, const ending *e) {
	switch (mr) {
		TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
#if LANES == 16
		TILE(7) TILE(8) TILE(9) TILE(10) TILE(11) TILE(12)
#endif
	}
}

// multiply computes y [m, n] from a [m, k] and a packed b [k, n], with n up to the next whole vector. along is tile's.
INL void NAME(multiply)(const bool along, size_t m, size_t n, size_t k, const float *a, size_t stride, const float *b, float *y, size_t y_row, ending e) {
	const size_t tiles = (m + tile_rows - 1) / tile_rows, row = along ? stride : 1, step = along ? 1 : stride;
	const bool add = e.add;
	for (size_t j = 0; j < n; j += panel, b += k * panel) {
		for (size_t l = 0; l < k; l += most_terms) {
			const size_t terms = k - l < most_terms ? k - l : most_terms;
			e.add = add || l > 0;
			for (size_t t = 0; t < tiles; t++) {
				const size_t first = m * t / tiles, rows = m * (t + 1) / tiles - first;
				ending last = e;
				if (e.factors != NULL) last.factors += first;
				if (e.bias != NULL) last.bias = l > 0 ? NULL : e.bias + first * e.bias_row + j;
				const float *from = a + first * row + l * step, *right = b + l * panel;
				float *to = y + first * y_row + j;
				if (n - j > LANES) NAME(tile_of)(rows, 2, along, from, stride, terms, right, to, y_row, &last);
				else NAME(tile_of)(rows, 1, along, from, stride, terms, right, to, y_row, &last);
			}
		}
	}
}

static void NAME(multiply_rows)(size_t m, size_t n, size_t k, const float *a, size_t stride, const float *b, float *y, size_t y_row, ending e) {
	NAME(multiply)(true, m, n, k, a, stride, b, y, y_row, e);
}

static void NAME(multiply_columns)(size_t m, size_t n, size_t k, const float *a, size_t stride, const float *b, float *y, size_t y_row, ending e) {
	NAME(multiply)(false, m, n, k, a, stride, b, y, y_row, e);
}

// first_of is the first n elements at p, and 0 behind them.
INL vec NAME(first_of)(const float *p, size_t n) {
	if (n >= LANES) return load(p);
	vec x = {0};
	for (size_t i = 0; i < n; i++) x[i] = p[i];
	return x;
}

// pack_rows packs b [k, n], whose rows lie stride apart.
static void NAME(pack_rows)(const float *b, size_t stride, size_t k, size_t n, float *to) {
	for (size_t j = 0; j < n; j += panel) {
		const size_t right = n - j > LANES ? n - j - LANES : 0;
		for (size_t l = 0; l < k; l++, to += panel) {
			const float *from = b + l * stride + j;
			store(to, NAME(first_of)(from, n - j));
			store(to + LANES, right > 0 ? NAME(first_of)(from + LANES, right) : (vec){0});
		}
	}
}

// transpose swaps rows and columns of LANES vectors.
INL void NAME(transpose)(vec *x) {
#define STAGE(s)                                                               \
	UNROLL for (size_t i = 0; i < LANES; i++) {                                \
		if (i & s) continue;                                                   \
		const vec a = x[i], b = x[i | s];                                      \
		x[i] = SHUFFLE(a, b, LOWER##s);                                        \
		x[i | s] = SHUFFLE(a, b, UPPER##s);                                    \
	}
	STAGE(1) STAGE(2)
#if LANES >= 8
	STAGE(4)
#endif
#if LANES >= 16
	STAGE(8)
#endif
#undef STAGE
}

// pack_columns packs bᵀ of b [n, k], whose rows lie stride apart.
static void NAME(pack_columns)(const float *b, size_t stride, size_t k, size_t n, float *to) {
	const size_t whole = k / LANES * LANES;
	for (size_t j = 0; j < panels(n) * panel; j += LANES) {
		float *half = to + j / panel * k * panel + j % panel;
		const size_t given = j >= n ? 0 : n - j < LANES ? n - j : LANES;
		const float *from = b + j * stride;
		for (size_t l = 0; l < whole; l += LANES) {
			vec x[LANES];
			if (given == LANES) {
				UNROLL for (size_t i = 0; i < LANES; i++) x[i] = load(from + i * stride + l);
			} else {
				UNROLL for (size_t i = 0; i < LANES; i++) x[i] = i < given ? load(from + i * stride + l) : (vec){0};
			}
			NAME(transpose)(x);
			UNROLL for (size_t i = 0; i < LANES; i++) store(half + (l + i) * panel, x[i]);
		}
		for (size_t l = whole; l < k; l++) {
			for (size_t i = 0; i < LANES; i++) half[l * panel + i] = i < given ? from[i * stride + l] : 0;
		}
	}
}

// bits is all ones where a byte is not 0. Bytes past the end of the whole mask are not read; those past a row's end are, but
// the probabilities there are 0.
INL ivec NAME(bits)(const uint8_t *p, const uint8_t *end) {
	bvec x;
	if (p + LANES <= end) {
		x = *(const bvec *)p;
	} else {
		uint8_t rest[LANES] = {0};
		memcpy(rest, p, end > p ? end - p : 0);
		x = *(const bvec *)rest;
	}
	return __builtin_convertvector(x, ivec) != 0;
}

// work is where a task computes. Sizes are in floats; queries are those of a block.
typedef struct {
	size_t width, keys, block;   // padded width and keys, and queries at once
	float *keys_t;               // panels of kᵀ: [width, keys]
	float *values;               // panels of v, or of vᵀ
	float *key_rows;             // panels of k: [keys, width]
	float *scores, *others;      // [block, keys]
	float *bias;                 // [1 or block, keys]
	float *q, *d_context;        // panels: [block, width]
	float *factors;              // [block]
	float *y, *y_k, *y_v;        // [block, width], [keys, width]
} NAME(work);
#define work NAME(work)

static size_t NAME(lay_out)(const ml_attention *a, bool backward, float *base, work *w) {
	w->width = padded(a->width), w->keys = padded(a->keys);
	size_t block = block_floats / (w->keys + 1) / tile_rows * tile_rows;
	w->block = block < tile_rows ? tile_rows : block;
	if (w->block > a->queries) w->block = a->queries;
	const size_t wide = panels(a->width) * panel, matrix = w->block * w->keys;
	size_t used = 0;
#define TAKE(field, size) w->field = base + used, used += ((size) + 15) / 16 * 16
	TAKE(keys_t, panels(a->keys) * panel * a->width);
	TAKE(values, backward ? panels(a->keys) * panel * a->width : wide * a->keys);
	TAKE(scores, matrix);
	TAKE(bias, a->masked_queries ? matrix : w->keys);
	TAKE(factors, w->block);
	TAKE(y, w->block * w->width);
	if (backward) {
		TAKE(others, matrix);
		TAKE(key_rows, wide * a->keys);
		TAKE(q, wide * w->block);
		TAKE(d_context, wide * w->block);
		TAKE(y_k, a->keys * w->width);
		TAKE(y_v, a->keys * w->width);
	}
#undef TAKE
	return used;
}

static size_t NAME(room)(const ml_attention *a, bool backward) {
	work w;
	return NAME(lay_out)(a, backward, NULL, &w);
}

// set_bias copies rows of the mask; where there are no keys it puts -Inf, whose probability is 0.
INL void NAME(set_bias)(const work *w, size_t rows, size_t keys, const float *mask) {
	for (size_t i = 0; i < rows; i++) {
		float *to = w->bias + i * w->keys;
		memcpy(to, mask + i * keys, keys * sizeof *to);
		for (size_t j = keys; j < w->keys; j++) to[j] = -__builtin_inff();
	}
}

// copy_out writes rows of a padded result where it belongs.
INL void NAME(copy_out)(const float *from, size_t from_row, size_t rows, size_t width, float *to, size_t to_row) {
	for (size_t i = 0; i < rows; i++) memcpy(to + i * to_row, from + i * from_row, width * sizeof *to);
}

// place is where one row's one head lies.
typedef struct {
	size_t stride;     // from a token to the next
	size_t q, k;       // offsets of the first query and key
	size_t pair;       // row·heads + head
	const float *mask;
} NAME(place);
#define place NAME(place)

INL place NAME(place_of)(const ml_attention *a, size_t pair) {
	const size_t stride = a->heads * a->width, row = pair / a->heads, head = pair % a->heads;
	return (place){
		.stride = stride, .pair = pair,
		.q = row * a->queries * stride + head * a->width, .k = row * a->keys * stride + head * a->width,
		.mask = a->mask + row * a->keys * (a->masked_queries ? a->queries : 1),
	};
}

// score computes scores of rows queries from first.
INL void NAME(score)(const ml_attention *a, const place *p, const work *w, size_t first, size_t rows) {
	if (a->masked_queries) NAME(set_bias)(w, rows, a->keys, p->mask + first * a->keys);
	NAME(multiply_rows)(rows, w->keys, a->width, a->q + p->q + first * p->stride, p->stride, w->keys_t, w->scores, w->keys,
	                    (ending){.factor = a->scale, .bias = w->bias, .bias_row = a->masked_queries ? w->keys : 0});
}

// softmax turns a row of scores into e^(score - greatest), 0 where dropped, and tells the greatest and the sum of all.
INL void NAME(softmax)(float *x, size_t n, const uint8_t *kept, const uint8_t *end, float *top, float *total) {
	vec most = load(x);
	for (size_t j = LANES; j < n; j += LANES) most = NAME(greater)(load(x + j), most);
	const float m = NAME(greatest)(most);
	vec sum = {0};
	for (size_t j = 0; j < n; j += LANES) {
		vec e = NAME(exponential)(load(x + j) - m);
		sum += e;
		if (kept != NULL) e = (vec)((ivec)e & NAME(bits)(kept + j, end));
		store(x + j, e);
	}
	*top = m;
	*total = NAME(sum)(sum);
}

INL const uint8_t *NAME(kept_row)(const ml_attention *a, size_t pair, size_t query) {
	return a->kept == NULL ? NULL : a->kept + (pair * a->queries + query) * a->keys;
}

INL const uint8_t *NAME(kept_end)(const ml_attention *a) { return a->kept + a->rows * a->heads * a->queries * a->keys; }

static void NAME(forward)(const ml_attention *a, size_t pair, float *scratch) {
	const place p = NAME(place_of)(a, pair);
	work w;
	NAME(lay_out)(a, false, scratch, &w);
	NAME(pack_columns)(a->k + p.k, p.stride, a->width, a->keys, w.keys_t);
	NAME(pack_rows)(a->v + p.k, p.stride, a->keys, a->width, w.values);
	if (!a->masked_queries) NAME(set_bias)(&w, 1, a->keys, p.mask);
	for (size_t first = 0; first < a->queries; first += w.block) {
		const size_t rows = a->queries - first < w.block ? a->queries - first : w.block;
		NAME(score)(a, &p, &w, first, rows);
		for (size_t i = 0; i < rows; i++) {
			float top, total;
			NAME(softmax)(w.scores + i * w.keys, w.keys, NAME(kept_row)(a, pair, first + i), NAME(kept_end)(a), &top, &total);
			w.factors[i] = 1 / total;
			if (a->saved != NULL) {
				float *saved = a->saved + 2 * (pair * a->queries + first + i);
				saved[0] = top, saved[1] = w.factors[i];
			}
		}
		const bool whole = w.width == a->width;
		float *y = a->context + p.q + first * p.stride;
		NAME(multiply_rows)(rows, w.width, a->keys, w.scores, w.keys, w.values, whole ? y : w.y, whole ? p.stride : w.width,
		                    (ending){.factors = w.factors});
		if (!whole) NAME(copy_out)(w.y, w.width, rows, a->width, y, p.stride);
	}
}

// unsoftmax turns a row of scores and the gradient of its dropped probabilities into those probabilities and the gradient of
// the product q kᵀ.
INL void NAME(unsoftmax)(float *x, float *d, size_t n, const uint8_t *kept, const uint8_t *end, const float *saved, float scale) {
	const float top = saved[0], factor = saved[1];
	vec sum = {0};
	for (size_t j = 0; j < n; j += LANES) {
		const vec p = NAME(exponential)(load(x + j) - top) * factor;
		vec g = load(d + j);
		if (kept != NULL) g = (vec)((ivec)g & NAME(bits)(kept + j, end));
		sum += p * g;
		store(x + j, p);
	}
	const float mean = NAME(sum)(sum);
	for (size_t j = 0; j < n; j += LANES) {
		vec p = load(x + j), g = load(d + j);
		if (kept != NULL) {
			const ivec keep = NAME(bits)(kept + j, end);
			g = (vec)((ivec)g & keep);
			store(x + j, (vec)((ivec)p & keep));
		}
		store(d + j, p * scale * (g - mean));
	}
}

static void NAME(backward)(const ml_attention *a, size_t pair, float *scratch) {
	const place p = NAME(place_of)(a, pair);
	work w;
	NAME(lay_out)(a, true, scratch, &w);
	NAME(pack_columns)(a->k + p.k, p.stride, a->width, a->keys, w.keys_t);
	NAME(pack_columns)(a->v + p.k, p.stride, a->width, a->keys, w.values);
	if (a->d_q != NULL) NAME(pack_rows)(a->k + p.k, p.stride, a->keys, a->width, w.key_rows);
	if (!a->masked_queries) NAME(set_bias)(&w, 1, a->keys, p.mask);
	const bool whole = w.width == a->width;
	float *y_k = whole && a->d_k != NULL ? a->d_k + p.k : w.y_k, *y_v = whole && a->d_v != NULL ? a->d_v + p.k : w.y_v;
	const size_t y_row = whole ? p.stride : w.width;
	for (size_t first = 0; first < a->queries; first += w.block) {
		const size_t rows = a->queries - first < w.block ? a->queries - first : w.block;
		const float *d_context = a->d_context + p.q + first * p.stride;
		NAME(score)(a, &p, &w, first, rows);
		NAME(multiply_rows)(rows, w.keys, a->width, d_context, p.stride, w.values, w.others, w.keys, (ending){.factor = 1});
		for (size_t i = 0; i < rows; i++) {
			NAME(unsoftmax)(w.scores + i * w.keys, w.others + i * w.keys, w.keys, NAME(kept_row)(a, pair, first + i), NAME(kept_end)(a),
			                a->saved + 2 * (pair * a->queries + first + i), a->scale);
		}
		const ending sum = {.factor = 1, .add = first > 0};
		if (a->d_v != NULL) {
			NAME(pack_rows)(d_context, p.stride, rows, a->width, w.d_context);
			NAME(multiply_columns)(a->keys, w.width, rows, w.scores, w.keys, w.d_context, y_v, y_row, sum);
		}
		if (a->d_k != NULL) {
			NAME(pack_rows)(a->q + p.q + first * p.stride, p.stride, rows, a->width, w.q);
			NAME(multiply_columns)(a->keys, w.width, rows, w.others, w.keys, w.q, y_k, y_row, sum);
		}
		if (a->d_q != NULL) {
			float *y = a->d_q + p.q + first * p.stride;
			NAME(multiply_rows)(rows, w.width, a->keys, w.others, w.keys, w.key_rows, whole ? y : w.y, y_row, (ending){.factor = 1});
			if (!whole) NAME(copy_out)(w.y, w.width, rows, a->width, y, p.stride);
		}
	}
	if (whole) return;
	if (a->d_k != NULL) NAME(copy_out)(w.y_k, w.width, a->keys, a->width, a->d_k + p.k, p.stride);
	if (a->d_v != NULL) NAME(copy_out)(w.y_v, w.width, a->keys, a->width, a->d_v + p.k, p.stride);
}

#undef vec
#undef ivec
#undef bvec
#undef panel
#undef load
#undef store
#undef padded
#undef panels
#undef fold
#undef ending
#undef TILE
#undef work
#undef place
