// What kernels have of the machine: threads, memory to work in, vectors. Nothing here knows ONNX Runtime.
#ifndef METALORA_POOL_H
#define METALORA_POOL_H

#include <stddef.h>

// ml_pool runs f(data, i) for each i in [0, total), perhaps at once on several threads, and returns when all are done.
// total is the number of tasks: each should be worth a thread's while (some 20 microseconds).
typedef struct ml_pool {
	void (*run)(const struct ml_pool *pool, size_t total, void (*f)(void *data, size_t i), void *data);
	void *self;
	size_t threads;
} ml_pool;

// ml_scratch is this thread's memory of at least so many floats, at a multiple of 64 bytes, until the thread asks again or ends;
// NULL where there is none.
float *ml_scratch(size_t floats);

// ml_lanes is how many floats a vector holds of the widest instruction set that code is compiled for (see lanes.h) and the
// processor has: 16, 8 or 4. Tests lower ml_most_lanes to run the narrower ones.
int ml_lanes(void);
extern int ml_most_lanes;

#endif
