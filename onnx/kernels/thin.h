// Products with one short side, such as LoRA's. Nothing here knows ONNX Runtime.
#ifndef METALORA_THIN_H
#define METALORA_THIN_H

#include "gemm.h"

// A part of a thin product y [m, n], whose columns are few: the rows [m0, m1). y's element (i, j), and the addend's, lies at
// i*row + j*col. The product has one term, no bias and no mask over its result. Dots are for an a that lies along k (col is 1),
// sums for one that lies along m (row is 1). There is one of each for each instruction set; dots are summed in the order that
// its vectors give. They return -1 where there is no memory to work in.
typedef int ml_thin_part(const ml_product *p, size_t row, size_t col, size_t m0, size_t m1);
ml_thin_part ml_thin_dots_avx512, ml_thin_dots_avx2, ml_thin_dots_plain;
ml_thin_part ml_thin_sums_avx512, ml_thin_sums_avx2, ml_thin_sums_plain;

#endif
