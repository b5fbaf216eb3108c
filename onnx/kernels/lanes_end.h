// The end of code that is compiled for an instruction set: see lanes.h.
#if defined(ML_AVX512) || defined(ML_AVX2)
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
