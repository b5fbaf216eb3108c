// Package mpi lets the processes that mpirun started work on one training: they add gradients up and tell each other numbers.
//
// Built with the tag mpi it is a thin layer over the system's MPI library; without it there is one process, which is rank 0 of 1
// and whose sums are what they are.
//
// A sum is the same bits on every rank, and it depends on nothing but the number of ranks and what each of them has: MPI
// only moves values (all-to-all, then all-gather, so that each rank adds up one part of every chunk), and the parts are added here,
// in order of ranks. MPI_Allreduce would leave that order to the library, which picks it by size, ranks and version.
package mpi

import (
	"os"
	"strconv"
)

const (
	// Chunk is how many float32 values go into one exchange: 4 MiB, of which a rank holds a second copy.
	Chunk = 1 << 20
	// Algorithm says how a sum is made.
	Algorithm = "all-to-all, added in order of ranks, all-gather"
)

// Launched is how many processes the launcher says it started; 1 where there is none.
func Launched() int {
	for _, name := range []string{"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"} {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 1 {
			return n
		}
	}
	return 1
}

// How says how sums are made, for the results.
func (w *World) How() (chunk int, algorithm string) { return Chunk, Algorithm }
