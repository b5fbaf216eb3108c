// The loops of loops.h, in vectors of C that compilers turn into instructions. Included by a file for each instruction set.

// Rounds to whole numbers what is added to it and taken from it again: 1.5 * 2^23.
#define ROUNDER 12582912.0f

// exp_negative is exp(z) for z <= 0 within 2 ulp; 0 below -87, where the numbers lose their precision.
static inline lanes exp_negative(lanes z) {
	lanes n = z * 1.44269504f + ROUNDER - ROUNDER;
	lanes r = z - n * 0.693145752f; // the leading bits of ln 2, so that the product is exact
	r -= n * 1.42860677e-6f;              // and the rest
	lanes p = r * (1.0f / 5040) + 1.0f / 720;
	p = p * r + 1.0f / 120;
	p = p * r + 1.0f / 24;
	p = p * r + 1.0f / 6;
	p = p * r + 0.5f;
	p = p * r * r + r;
	lanes power = (lanes)((__builtin_convertvector(n, whole) + 127) << 23);
	return (lanes)((whole)(p * power + power) & ~(z < -87.0f));
}

// tail is Φ(-|x|) with e = exp(-x²/2): e * t * Q(t), t = 1/(1 + c|x|), where Q is the polynomial of degree 9 with the least
// relative error (1.1e-8), found by weighted least squares.
static inline lanes tail(lanes x, lanes e) {
	lanes magnitude = (lanes)((whole)x & 0x7fffffff);
	lanes t = 1.0f / (1.0f + 0.2404163f * magnitude);
	lanes q = t * 0.02384864320f - 0.11533580252f;
	q = q * t + 0.18410286896f;
	q = q * t - 0.11857677987f;
	q = q * t + 0.12213644434f;
	q = q * t + 0.03726327215f;
	q = q * t + 0.08510516859f;
	q = q * t + 0.08957308662f;
	q = q * t + 0.09597281949f;
	q = q * t + 0.09591027340f;
	return q * t * e;
}

// normal is Φ(x), the distribution of the standard normal.
static inline lanes normal(lanes x, lanes e) {
	lanes q = tail(x, e);
	return choose(negative(x), q, 1.0f - q);
}

static inline lanes gelu_of(lanes x) { return x * normal(x, exp_negative(-0.5f * x * x)); }

// gelu'(x) = Φ(x) + x φ(x).
static inline lanes gelu_slope(lanes x) {
	lanes e = exp_negative(-0.5f * x * x);
	return normal(x, e) + x * e * 0.398942280f; // 1/√(2π)
}

// logistic is s(v) = 1/(1 + exp(-v)), and other is s(-v), exact also where s(v) is near 1.
static inline lanes logistic(lanes v, lanes *other) {
	lanes e = exp_negative((lanes)((whole)v | INT32_MIN)); // of -|v|
	lanes upper = 1.0f / (1.0f + e), lower = e * upper;
	*other = choose(negative(v), upper, lower);
	return choose(negative(v), lower, upper);
}

// The tanh form is x (1 + tanh u)/2 = x s(2u) with u = √(2/π) (x + 0.044715 x³).
static inline lanes gelu_tanh_of(lanes x) {
	lanes other;
	return x * logistic(x * (1.59576912f + 0.0713548162f * x * x), &other);
}

// Its slope is s + x s', with s' = s(2u) s(-2u) (2u)'.
static inline lanes gelu_tanh_slope(lanes x) {
	lanes other, s = logistic(x * (1.59576912f + 0.0713548162f * x * x), &other);
	return s + x * (s * other) * (1.59576912f + 0.214064449f * x * x);
}

// Loops y = f(x) and dx = dy f'(x).
#define FUNCTION(name, f)                                                                     \
	static void name(const float *x, float *y, size_t n) {                                    \
		for (size_t i = 0; i < n; i += LANES) store_some(y + i, f(load_some(x + i, n - i)), n - i); \
	}
#define GRADIENT(name, slope)                                                     \
	static void name(const float *dy, const float *x, float *dx, size_t n) {      \
		for (size_t i = 0; i < n; i += LANES) {                                   \
			lanes d = load_some(dy + i, n - i) * slope(load_some(x + i, n - i));  \
			store_some(dx + i, d, n - i);                                         \
		}                                                                         \
	}

FUNCTION(gelu, gelu_of)
FUNCTION(gelu_tanh, gelu_tanh_of)
GRADIENT(gelu_grad, gelu_slope)
GRADIENT(gelu_tanh_grad, gelu_tanh_slope)

static void mask(const float *x, const uint8_t *mask, const float *addend, float *y, size_t n) {
	if (addend == NULL) {
		for (size_t i = 0; i < n; i++) y[i] = x[i] * (float)mask[i];
		return;
	}
	for (size_t i = 0; i < n; i++) y[i] = x[i] * (float)mask[i] + addend[i];
}

// add_rows takes four rows at a time, so that the sum is fetched and stored more seldom.
static void add_rows(float *sum, const float *x, size_t rows, size_t n) {
	size_t i = 0;
	for (; i + 4 <= rows; i += 4, x += 4 * n) {
		for (size_t j = 0; j < n; j += LANES) {
			size_t k = n - j;
			lanes four = (load_some(x + j, k) + load_some(x + n + j, k)) + (load_some(x + 2 * n + j, k) + load_some(x + 3 * n + j, k));
			store_some(sum + j, load_some(sum + j, k) + four, k);
		}
	}
	for (; i < rows; i++, x += n) {
		for (size_t j = 0; j < n; j += LANES) store_some(sum + j, load_some(sum + j, n - j) + load_some(x + j, n - j), n - j);
	}
}

// gather_row is the sum of the addends in a row: the addend itself where there is one, else made in the row of dx.
static const float *gather_row(const ml_norm *p, size_t row) {
	size_t at = row * p->n;
	if (p->addends == 1) return p->dy[0] + at;
	for (size_t j = 0; j < p->n; j += LANES) {
		size_t k = p->n - j;
		lanes sum = load_some(p->dy[0] + at + j, k);
		for (size_t a = 1; a < p->addends; a++) sum += load_some(p->dy[a] + at + j, k);
		store_some(p->dx + at + j, sum, k);
	}
	return p->dx + at;
}

// norm_row is a row of the gradient: dx = (g - mean(g) - h mean(g h)) / deviation with g = dy * weight.
static void norm_row(const ml_norm *p, size_t row, float *dweight, float *dbias) {
	size_t n = p->n;
	const float *dy = gather_row(p, row), *x = p->x + row * n;
	float *dx = p->dx + row * n, mean = p->mean[row], inverse = p->inverse[row];
	lanes sum_g = {0}, sum_gh = {0};
	for (size_t j = 0; j < n; j += LANES) {
		size_t k = n - j;
		lanes d = load_some(dy + j, k), h = (load_some(x + j, k) - mean) * inverse, g = d * load_some(p->weight + j, k);
		sum_g += g;
		sum_gh += g * h;
		if (dweight != NULL) store_some(dweight + j, load_some(dweight + j, k) + d * h, k);
		if (dbias != NULL) store_some(dbias + j, load_some(dbias + j, k) + d, k);
	}
	float mean_g = total(sum_g) / n, mean_gh = total(sum_gh) / n;
	for (size_t j = 0; j < n; j += LANES) {
		size_t k = n - j;
		lanes h = (load_some(x + j, k) - mean) * inverse, g = load_some(dy + j, k) * load_some(p->weight + j, k);
		store_some(dx + j, (g - mean_g - h * mean_gh) * inverse, k);
	}
}

static void norm_grad(const ml_norm *norm, size_t first, size_t last, float *dweight, float *dbias) {
	for (size_t row = first; row < last; row++) norm_row(norm, row, dweight, dbias);
}

const ml_loops ML_NAME(ml_loops) = {gelu, gelu_tanh, gelu_grad, gelu_tanh_grad, mask, add_rows, norm_grad};
