// A small framework for operators of our own inside ONNX Runtime. An operator is a row in ops_table.c and a function
// that computes it: the framework reads its attributes, fetches and checks its inputs, and hands out its outputs.
#ifndef METALORA_OPS_H
#define METALORA_OPS_H

#include "onnxruntime_c_api.h"

#include "gemm.h"

// ML_THREADS is the entry of a session's configuration that says how many threads it has: ONNX Runtime does not tell.
#define ML_THREADS "metalora.threads"

enum { ml_max_inputs = 16, ml_max_outputs = 8, ml_max_attrs = 8, ml_max_rank = 8 };

// ml_attr is an attribute that every node of an operator must have. kind is 'i' (int64) or 'f' (float).
typedef struct {
	const char *name;
	char kind;
} ml_attr;

typedef union {
	int64_t i;
	float f;
} ml_value;

typedef struct ml_call ml_call;

// ml_op is a row of the table. inputs and outputs are a letter each: f float32, b bool (a byte each, 0 or 1), i int64,
// h int32; "?" behind one says that it may be absent.
typedef struct {
	const char *name, *inputs, *outputs;
	OrtStatus *(*compute)(ml_call *call);
	ml_attr attrs[ml_max_attrs];
	bool in_place; // output 0 has the shape of input 0, and may lie where it lies if nothing else reads that any more
} ml_op;

extern const ml_op ml_ops[];
extern const size_t ml_ops_count;

// ml_tensor is an input. dims is NULL for a scalar and count its number of elements, of which there may be none.
typedef struct {
	bool given; // false: an optional input that is absent
	char type;
	const void *data;
	const int64_t *dims;
	size_t rank;
	int64_t count;
} ml_tensor;

// ml_call is one run of one node.
struct ml_call {
	const OrtApi *api;
	const ml_op *op;
	OrtKernelContext *context;
	const ml_value *attr;          // the values of op->attrs, in their order
	ml_tensor in[ml_max_inputs];
	ml_pool pool;                  // the session's own threads
};

// ml_fail is an error that names the operator; the text is printf's, up to 400 bytes. An argument of int64_t is cast to long long.
__attribute__((format(printf, 2, 3))) OrtStatus *ml_fail(const ml_call *call, const char *format, ...);

// ml_output allocates output index with a shape; *data is NULL where the output is optional and absent.
OrtStatus *ml_output(ml_call *call, size_t index, const int64_t *dims, size_t rank, void **data);

// ml_rank fails unless input index has a rank.
OrtStatus *ml_rank(const ml_call *call, size_t index, size_t rank);

// ml_same fails unless two inputs have the same shape.
OrtStatus *ml_same(const ml_call *call, size_t a, size_t b);

// ml_row is the size of the last dimension, 1 of a scalar.
size_t ml_row(const ml_tensor *t);

// ml_try returns from the calling function where a status is an error.
#define ml_try(expression)                        \
	do {                                          \
		OrtStatus *ml_status = (expression);      \
		if (ml_status != NULL) return ml_status;  \
	} while (0)

// ml_register adds the domain with all operators to a session's options. library is the path of the ONNX Runtime that
// this process has loaded already. It returns NULL, or an error that the caller frees.
char *ml_register(OrtSessionOptions *options, const char *library);

#endif
