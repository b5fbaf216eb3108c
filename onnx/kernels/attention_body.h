// Attention for one row and head, compiled once for each instruction set (see lanes.h).
//
// All products go through one kernel that computes a tile of up to tile_rows rows by two vectors of columns in registers. Its
// right factor lies in panels of so many columns, zero where there are none: [panels][k][panel].

#define always static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

enum {
	panel = 2 * LANES,
	tile_rows = LANES == 16 ? 12 : 6, // the most for which sums and factors fit the registers
	block_floats = 16384,             // of a block of scores: two of them should stay in the second cache
	most_terms = 512,                 // that one sum adds up before it joins others
};

always size_t padded(size_t n) { return (n + LANES - 1) / LANES * LANES; }
always size_t panels(size_t n) { return (n + panel - 1) / panel; }

// Folding a vector to one number: its halves, their halves, and so on, each element of the result in lane 0.
#define fold(x, op)                                                                   \
	do {                                                                              \
		if (LANES >= 16) x = op(x, SHUFFLE(x, x, AWAY8)); \
		if (LANES >= 8) x = op(x, SHUFFLE(x, x, AWAY4));  \
		x = op(x, SHUFFLE(x, x, AWAY2));                  \
		x = op(x, SHUFFLE(x, x, AWAY1));                  \
	} while (0)

always lanes plus(lanes a, lanes b) { return a + b; }
always lanes greater(lanes a, lanes b) { return choose(a > b, a, b); }

always float sum_of(lanes x) {
	fold(x, plus);
	return x[0];
}

always float greatest(lanes x) {
	fold(x, greater);
	return x[0];
}

// exponential is e^x for x <= 0, within 2 units in the last place down to 2^-126 and 0 below; NaN stays NaN.
always lanes exponential(lanes x) {
	const lanes t = x * 1.44269504088896341f + 12582912.0f; // 1.5·2^23: the sum's low bits are the nearest whole number
	const lanes n = t - 12582912.0f;
	const lanes r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
	lanes p = r * 1.9875691500e-4f + 1.3981999507e-3f;
	p = p * r + 8.3334519073e-3f;
	p = p * r + 4.1665795894e-2f;
	p = p * r + 1.6666665459e-1f;
	p = p * r + 5.0000001201e-1f;
	p = p * (r * r) + (r + 1.0f);
	const lanes y = (lanes)((whole)p + ((whole)t << 23)); // times 2^n
	return (lanes)((whole)y & ~(x < -87.33654f));
}

// ending says what becomes of a tile: y = factor · sums + bias + y, with a factor for each row or for all.
typedef struct {
	float factor;
	const float *factors;    // one for each row, or NULL
	const float *bias;       // of the same columns; NULL: none
	size_t bias_row;         // from one row to the next
	bool add;                // y's own elements count
} ending;

// tile is mr rows by nv vectors. Element (i, l) of a lies at a[i*row + l*step]; along says that step is 1, else row is.
always void tile(const size_t mr, const size_t nv, const bool along, const float *a, size_t stride, size_t k, const float *b, float *y,
                    size_t y_row, const ending *e) {
	const size_t row = along ? stride : 1, step = along ? 1 : stride;
	const float *a3 = a + 3 * row, *a6 = a + 6 * row, *a9 = a + 9 * row;
	lanes sums[tile_rows][2];
	UNROLL for (size_t i = 0; i < mr; i++) sums[i][0] = sums[i][1] = (lanes){0};
	for (size_t l = 0; l < k; l++, b += panel, a += step, a3 += step, a6 += step, a9 += step) {
		const lanes b0 = load(b), b1 = nv > 1 ? load(b + LANES) : (lanes){0};
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
			lanes rest = {0};
			if (e->bias != NULL) rest = load(e->bias + i * e->bias_row + j * LANES);
			if (e->add) rest += load(to);
			store(to, sums[i][j] * factor + rest);
		}
	}
}

#define TILE(rows) \
	case rows: tile(rows, nv, along, a, stride, k, b, y, y_row, e); break;

always void tile_of(size_t mr, const size_t nv, const bool along, const float *a, size_t stride, size_t k, const float *b, float *y,
                       size_t y_row, const ending *e) {
	switch (mr) {
		TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
#if defined(ML_AVX512)
		TILE(7) TILE(8) TILE(9) TILE(10) TILE(11) TILE(12)
#endif
	}
}

// multiply computes y [m, n] from a [m, k] and a packed b [k, n], with n up to the next whole vector. along is tile's.
always void multiply(const bool along, size_t m, size_t n, size_t k, const float *a, size_t stride, const float *b, float *y, size_t y_row, ending e) {
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
				if (n - j > LANES) tile_of(rows, 2, along, from, stride, terms, right, to, y_row, &last);
				else tile_of(rows, 1, along, from, stride, terms, right, to, y_row, &last);
			}
		}
	}
}

static void multiply_rows(size_t m, size_t n, size_t k, const float *a, size_t stride, const float *b, float *y, size_t y_row, ending e) {
	multiply(true, m, n, k, a, stride, b, y, y_row, e);
}

static void multiply_columns(size_t m, size_t n, size_t k, const float *a, size_t stride, const float *b, float *y, size_t y_row, ending e) {
	multiply(false, m, n, k, a, stride, b, y, y_row, e);
}

// pack_rows packs b [k, n], whose rows lie stride apart.
static void pack_rows(const float *b, size_t stride, size_t k, size_t n, float *to) {
	for (size_t j = 0; j < n; j += panel) {
		const size_t right = n - j > LANES ? n - j - LANES : 0;
		for (size_t l = 0; l < k; l++, to += panel) {
			const float *from = b + l * stride + j;
			store(to, load_some(from, n - j));
			store(to + LANES, right > 0 ? load_some(from + LANES, right) : (lanes){0});
		}
	}
}

// transpose swaps rows and columns of LANES vectors.
always void transpose(lanes *x) {
#define STAGE(s)                                                               \
	UNROLL for (size_t i = 0; i < LANES; i++) {                                \
		if (i & s) continue;                                                   \
		const lanes a = x[i], b = x[i | s];                                      \
		x[i] = SHUFFLE(a, b, LOWER##s);                                        \
		x[i | s] = SHUFFLE(a, b, UPPER##s);                                    \
	}
	STAGE(1) STAGE(2)
#if defined(ML_AVX512) || defined(ML_AVX2)
	STAGE(4)
#endif
#if defined(ML_AVX512)
	STAGE(8)
#endif
#undef STAGE
}

// pack_columns packs bᵀ of b [n, k], whose rows lie stride apart.
static void pack_columns(const float *b, size_t stride, size_t k, size_t n, float *to) {
	const size_t most = k / LANES * LANES;
	for (size_t j = 0; j < panels(n) * panel; j += LANES) {
		float *half = to + j / panel * k * panel + j % panel;
		const size_t given = j >= n ? 0 : n - j < LANES ? n - j : LANES;
		const float *from = b + j * stride;
		for (size_t l = 0; l < most; l += LANES) {
			lanes x[LANES];
			if (given == LANES) {
				UNROLL for (size_t i = 0; i < LANES; i++) x[i] = load(from + i * stride + l);
			} else {
				UNROLL for (size_t i = 0; i < LANES; i++) x[i] = i < given ? load(from + i * stride + l) : (lanes){0};
			}
			transpose(x);
			UNROLL for (size_t i = 0; i < LANES; i++) store(half + (l + i) * panel, x[i]);
		}
		for (size_t l = most; l < k; l++) {
			for (size_t i = 0; i < LANES; i++) half[l * panel + i] = i < given ? from[i * stride + l] : 0;
		}
	}
}

// bits is all ones where a byte is not 0. Bytes past the end of the whole mask are not read; those past a row's end are, but
// the probabilities there are 0.
always whole bits(const uint8_t *p, const uint8_t *end) {
	uint8_t rest[LANES] = {0};
	if (p + LANES > end) {
		memcpy(rest, p, end > p ? end - p : 0);
		p = rest;
	}
#if defined(ML_AVX512) // what GCC makes of __builtin_convertvector is slow
	return (whole)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)) != 0;
#elif defined(ML_AVX2)
	return (whole)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)) != 0;
#else
	whole x;
	for (int i = 0; i < LANES; i++) x[i] = p[i];
	return x != 0;
#endif
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
} work;

// lay_out gives a row of so many queries and keys its memory. Blocks are those of the longest row, which so takes most.
static size_t lay_out(const ml_attention *a, size_t queries, size_t keys, bool backward, float *base, work *w) {
	size_t block = block_floats / (padded(a->keys) + 1) / tile_rows * tile_rows;
	w->width = padded(a->width), w->keys = padded(keys);
	w->block = block < tile_rows ? tile_rows : block;
	if (w->block > queries) w->block = queries;
	const size_t wide = panels(a->width) * panel, matrix = w->block * w->keys;
	size_t used = 0;
#define TAKE(field, size) w->field = base + used, used += ((size) + 15) / 16 * 16
	TAKE(keys_t, panels(keys) * panel * a->width);
	TAKE(values, backward ? panels(keys) * panel * a->width : wide * keys);
	TAKE(scores, matrix);
	TAKE(bias, a->masked_queries ? matrix : w->keys);
	TAKE(factors, w->block);
	TAKE(y, w->block * w->width);
	if (backward) {
		TAKE(others, matrix);
		TAKE(key_rows, wide * keys);
		TAKE(q, wide * w->block);
		TAKE(d_context, wide * w->block);
		TAKE(y_k, keys * w->width);
		TAKE(y_v, keys * w->width);
	}
#undef TAKE
	return used;
}

size_t ML_NAME(ml_attention_room)(const ml_attention *a, bool backward) {
	work w;
	return lay_out(a, a->queries, a->keys, backward, NULL, &w);
}

// set_bias copies rows of the mask; where there are no keys it puts -Inf, whose probability is 0.
always void set_bias(const work *w, size_t rows, size_t keys, const float *mask, size_t stride) {
	for (size_t i = 0; i < rows; i++) {
		float *to = w->bias + i * w->keys;
		memcpy(to, mask + i * stride, keys * sizeof *to);
		for (size_t j = keys; j < w->keys; j++) to[j] = -__builtin_inff();
	}
}

// copy_out writes rows of a padded result where it belongs.
always void copy_out(const float *from, size_t from_row, size_t rows, size_t width, float *to, size_t to_row) {
	for (size_t i = 0; i < rows; i++) memcpy(to + i * to_row, from + i * from_row, width * sizeof *to);
}

// place is where one row's one head lies.
typedef struct {
	size_t stride;        // from a token to the next
	size_t queries, keys; // of this row
	size_t q, k;          // offsets of the first query and key
	size_t pair;          // row·heads + head
	const float *mask;
} place;

always place place_of(const ml_attention *a, size_t pair) {
	const size_t stride = a->heads * a->width, row = pair / a->heads, head = pair % a->heads;
	place p = {.stride = stride, .pair = pair, .queries = a->queries, .keys = a->keys, .q = row * a->queries, .k = row * a->keys,
	           .mask = a->mask + row * a->keys * (a->masked_queries ? a->queries : 1)};
	if (a->starts != NULL) {
		p.k = a->starts[row];
		p.keys = (row + 1 < a->rows ? (size_t)a->starts[row + 1] : a->tokens) - p.k;
		if (a->queries > 1) p.q = p.k, p.queries = p.keys;
	}
	p.q = p.q * stride + head * a->width, p.k = p.k * stride + head * a->width;
	return p;
}

// score computes scores of rows queries from first.
always void score(const ml_attention *a, const place *p, const work *w, size_t first, size_t rows) {
	if (a->masked_queries) set_bias(w, rows, p->keys, p->mask + first * a->keys, a->keys);
	multiply_rows(rows, w->keys, a->width, a->q + p->q + first * p->stride, p->stride, w->keys_t, w->scores, w->keys,
	                    (ending){.factor = a->scale, .bias = w->bias, .bias_row = a->masked_queries ? w->keys : 0});
}

// softmax turns a row of scores into e^(score - greatest), 0 where dropped, and tells the greatest and the sum of all.
always void softmax(float *x, size_t n, const uint8_t *kept, const uint8_t *end, float *top, float *total) {
	lanes most = load(x);
	for (size_t j = LANES; j < n; j += LANES) most = greater(load(x + j), most);
	const float m = greatest(most);
	lanes sum = {0};
	for (size_t j = 0; j < n; j += LANES) {
		lanes e = exponential(load(x + j) - m);
		sum += e;
		if (kept != NULL) e = (lanes)((whole)e & bits(kept + j, end));
		store(x + j, e);
	}
	*top = m;
	*total = sum_of(sum);
}

always const uint8_t *kept_row(const ml_attention *a, size_t pair, size_t query) {
	return a->kept == NULL ? NULL : a->kept + (pair * a->queries + query) * a->keys;
}

always const uint8_t *kept_end(const ml_attention *a) { return a->kept + a->rows * a->heads * a->queries * a->keys; }

void ML_NAME(ml_attention_forward)(const ml_attention *a, size_t pair, float *scratch) {
	const place p = place_of(a, pair);
	work w;
	lay_out(a, p.queries, p.keys, false, scratch, &w);
	pack_columns(a->k + p.k, p.stride, a->width, p.keys, w.keys_t);
	pack_rows(a->v + p.k, p.stride, p.keys, a->width, w.values);
	if (!a->masked_queries) set_bias(&w, 1, p.keys, p.mask, 0);
	for (size_t first = 0; first < p.queries; first += w.block) {
		const size_t rows = p.queries - first < w.block ? p.queries - first : w.block;
		score(a, &p, &w, first, rows);
		for (size_t i = 0; i < rows; i++) {
			float top, total;
			softmax(w.scores + i * w.keys, w.keys, kept_row(a, pair, first + i), kept_end(a), &top, &total);
			w.factors[i] = a->factor / total;
			if (a->saved != NULL) {
				float *saved = a->saved + 2 * (pair * a->queries + first + i);
				saved[0] = top, saved[1] = 1 / total;
			}
		}
		const bool direct = w.width == a->width;
		float *y = a->context + p.q + first * p.stride;
		multiply_rows(rows, w.width, p.keys, w.scores, w.keys, w.values, direct ? y : w.y, direct ? p.stride : w.width,
		                    (ending){.factors = w.factors});
		if (!direct) copy_out(w.y, w.width, rows, a->width, y, p.stride);
	}
}

// unsoftmax turns a row of scores and the gradient of its dropped probabilities into those probabilities and the gradient of
// the product q kᵀ.
always void unsoftmax(float *x, float *d, size_t n, const uint8_t *kept, const uint8_t *end, const float *saved, float scale, float factor) {
	const float top = saved[0], share = saved[1];
	lanes sum = {0};
	for (size_t j = 0; j < n; j += LANES) {
		const lanes p = exponential(load(x + j) - top) * share;
		lanes g = load(d + j);
		if (kept != NULL) g = (lanes)((whole)g & bits(kept + j, end));
		sum += p * g;
		store(x + j, p);
	}
	const float mean = sum_of(sum);
	for (size_t j = 0; j < n; j += LANES) {
		lanes p = load(x + j), g = load(d + j);
		if (kept != NULL) {
			const whole keep = bits(kept + j, end);
			g = (lanes)((whole)g & keep);
			store(x + j, (lanes)((whole)(p * factor) & keep));
		}
		store(d + j, p * scale * (g - mean));
	}
}

void ML_NAME(ml_attention_backward)(const ml_attention *a, size_t pair, float *scratch) {
	const place p = place_of(a, pair);
	work w;
	lay_out(a, p.queries, p.keys, true, scratch, &w);
	pack_columns(a->k + p.k, p.stride, a->width, p.keys, w.keys_t);
	pack_columns(a->v + p.k, p.stride, a->width, p.keys, w.values);
	if (a->d_q != NULL) pack_rows(a->k + p.k, p.stride, p.keys, a->width, w.key_rows);
	if (!a->masked_queries) set_bias(&w, 1, p.keys, p.mask, 0);
	const bool direct = w.width == a->width;
	float *y_k = direct && a->d_k != NULL ? a->d_k + p.k : w.y_k, *y_v = direct && a->d_v != NULL ? a->d_v + p.k : w.y_v;
	const size_t y_row = direct ? p.stride : w.width;
	for (size_t first = 0; first < p.queries; first += w.block) {
		const size_t rows = p.queries - first < w.block ? p.queries - first : w.block;
		const float *d_context = a->d_context + p.q + first * p.stride;
		score(a, &p, &w, first, rows);
		multiply_rows(rows, w.keys, a->width, d_context, p.stride, w.values, w.others, w.keys, (ending){.factor = a->factor});
		for (size_t i = 0; i < rows; i++) {
			unsoftmax(w.scores + i * w.keys, w.others + i * w.keys, w.keys, kept_row(a, pair, first + i), kept_end(a),
			                a->saved + 2 * (pair * a->queries + first + i), a->scale, a->factor);
		}
		const ending sum = {.factor = 1, .add = first > 0};
		if (a->d_v != NULL) {
			pack_rows(d_context, p.stride, rows, a->width, w.d_context);
			multiply_columns(p.keys, w.width, rows, w.scores, w.keys, w.d_context, y_v, y_row, sum);
		}
		if (a->d_k != NULL) {
			pack_rows(a->q + p.q + first * p.stride, p.stride, rows, a->width, w.q);
			multiply_columns(p.keys, w.width, rows, w.others, w.keys, w.q, y_k, y_row, sum);
		}
		if (a->d_q != NULL) {
			float *y = a->d_q + p.q + first * p.stride;
			multiply_rows(rows, w.width, p.keys, w.others, w.keys, w.key_rows, direct ? y : w.y, y_row, (ending){.factor = 1});
			if (!direct) copy_out(w.y, w.width, rows, a->width, y, p.stride);
		}
	}
	if (direct) return;
	if (a->d_k != NULL) copy_out(w.y_k, w.width, p.keys, a->width, a->d_k + p.k, p.stride);
	if (a->d_v != NULL) copy_out(w.y_v, w.width, p.keys, a->width, a->d_v + p.k, p.stride);
}
