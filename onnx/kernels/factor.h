// Elements of factors and their masks, in vectors (see lanes.h).

#define always static inline __attribute__((always_inline))

// kept is LANES elements of a mask, a byte of 0 or 1 each.
always lanes kept(const uint8_t *p) {
#if defined(ML_AVX512) // what GCC makes of __builtin_convertvector is slow
	return (lanes)_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)));
#elif defined(ML_AVX2)
	return (lanes)_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)));
#else
	lanes x;
	for (int i = 0; i < LANES; i++) x[i] = p[i];
	return x;
#endif
}

// masked is LANES elements of a factor from place at on.
always lanes masked(const ml_factor *f, size_t at) {
	lanes x = load(f->data + at);
	return f->mask ? x * kept(f->mask + at) : x;
}

// one is an element of a factor.
always float one(const ml_factor *f, size_t at) { return f->mask ? f->data[at] * f->mask[at] : f->data[at]; }
