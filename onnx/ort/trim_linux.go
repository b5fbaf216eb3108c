package ort

/*
#include <malloc.h>

static void give_back(void) {
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}
*/
import "C"

// Trim gives memory back to the system that closed sessions have freed and the C library holds on to: a hundred megabytes
// after a training.
func Trim() { C.give_back() }
