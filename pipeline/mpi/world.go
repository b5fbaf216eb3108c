//go:build mpi

package mpi

/*
#cgo pkg-config: ompi-c
#cgo CFLAGS: -O3
#include <mpi.h>
#include <string.h>

// start asks for calls from any thread, one at a time, and for errors as return values.
static int start(int *rank, int *size, int *threads) {
	int failed = MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, threads);
	if (!failed) failed = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
	if (!failed) failed = MPI_Comm_rank(MPI_COMM_WORLD, rank);
	if (!failed) failed = MPI_Comm_size(MPI_COMM_WORLD, size);
	*threads = *threads >= MPI_THREAD_SERIALIZED;
	return failed;
}

// sum adds n values of every rank up, in place. Each rank adds up one part, in order of ranks, and gives it to all.
// room has a part of every rank, layout four numbers a rank.
static int sum(float *x, int n, float *room, int *layout, int rank, int ranks) {
	int *counts = layout, *starts = counts + ranks, *own = starts + ranks, *places = own + ranks;
	for (int r = 0; r < ranks; r++) {
		starts[r] = (long long)n * r / ranks;
		counts[r] = (long long)n * (r + 1) / ranks - starts[r];
	}
	int part = counts[rank];
	for (int r = 0; r < ranks; r++) {
		own[r] = part;
		places[r] = r * part;
	}
	int failed = MPI_Alltoallv(x, counts, starts, MPI_FLOAT, room, own, places, MPI_FLOAT, MPI_COMM_WORLD);
	if (failed) return failed;
	float *restrict to = x + starts[rank];
	memcpy(to, room, part * sizeof *to);
	for (int r = 1; r < ranks; r++) {
		const float *restrict from = room + places[r];
		for (int i = 0; i < part; i++) to[i] += from[i];
	}
	return MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, x, counts, starts, MPI_FLOAT, MPI_COMM_WORLD);
}

static int gather(double *values, double *all, int n) {
	return MPI_Allgather(values, n, MPI_DOUBLE, all, n, MPI_DOUBLE, MPI_COMM_WORLD);
}

static void quit(int code) { MPI_Abort(MPI_COMM_WORLD, code); }

static int describe(int code, char *text) {
	int length = 0;
	MPI_Error_string(code, text, &length);
	return length;
}

enum { longest = MPI_MAX_ERROR_STRING };
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"unsafe"
)

// World is the processes that were started together, and this one's place among them. It may be used by one goroutine at a time.
type World struct {
	rank, size int
	started    bool // MPI was
	room       []float32
	layout     []C.int
}

// Start joins the processes that mpirun, or srun with PMIx, started. Without a launcher there is this one alone, and MPI is left out:
// what it does then hangs on the surroundings, a batch job's for one. A process may start once.
func Start() (*World, error) {
	if !launched() {
		return &World{size: 1}, nil
	}
	var rank, size, threads C.int
	if err := check("starting MPI", C.start(&rank, &size, &threads)); err != nil {
		return nil, err
	}
	if threads == 0 {
		return nil, errors.New("starting MPI: the library does not take calls from changing threads (MPI_THREAD_SERIALIZED)")
	}
	w := &World{rank: int(rank), size: int(size), started: true, layout: make([]C.int, 4*int(size))}
	w.room = make([]float32, Chunk+int(size))
	return w, nil
}

// launched tells whether a launcher says where to find the other processes.
func launched() bool {
	return slices.ContainsFunc([]string{"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"}, func(name string) bool { return os.Getenv(name) != "" })
}

// Rank is this process's place, from 0.
func (w *World) Rank() int { return w.rank }

// Size is how many processes there are.
func (w *World) Size() int { return w.size }

// Sum adds the values of all ranks up, in place, in order of ranks: the same bits on each. All ranks have to ask for it, with as
// many values.
func (w *World) Sum(values []float32) error {
	for lo := 0; lo < len(values) && w.size > 1; lo += Chunk {
		part := values[lo:min(lo+Chunk, len(values))]
		code := C.sum((*C.float)(&part[0]), C.int(len(part)), (*C.float)(&w.room[0]), &w.layout[0], C.int(w.rank), C.int(w.size))
		if err := check("adding up over ranks", code); err != nil {
			return err
		}
	}
	return nil
}

// Gather returns every rank's values, by rank. All ranks have to ask for it, with as many values, at least one.
func (w *World) Gather(values []float64) ([][]float64, error) {
	if !w.started {
		return [][]float64{slices.Clone(values)}, nil
	}
	n := len(values)
	flat := make([]float64, n*w.size)
	if err := check("gathering from ranks", C.gather((*C.double)(&values[0]), (*C.double)(&flat[0]), C.int(n))); err != nil {
		return nil, err
	}
	all := make([][]float64, w.size)
	for r := range all {
		all[r] = flat[r*n : (r+1)*n : (r+1)*n]
	}
	return all, nil
}

// End waits until all ranks have come here and leaves MPI.
func (w *World) End() error {
	if !w.started {
		return nil
	}
	return check("ending MPI", C.MPI_Finalize())
}

// Abort ends all ranks, this one too; mpirun returns the code.
func (w *World) Abort(code int) {
	if w.started {
		C.quit(C.int(code))
	}
}

func check(what string, code C.int) error {
	if code == C.MPI_SUCCESS {
		return nil
	}
	text := make([]byte, C.longest)
	n := C.describe(code, (*C.char)(unsafe.Pointer(&text[0])))
	return fmt.Errorf("%s: %s", what, text[:n])
}
