//go:build mpi

package mpi_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"

	"metalora/pipeline/mpi"
	"metalora/pipeline/rng"
)

// asRank is set for processes that are ranks of a test; it says what they do.
const asRank = "METALORA_TEST_RANK"

// launch starts so many ranks of a program and returns what they said and mpirun's exit code.
func launch(t *testing.T, n int, program string, args ...string) (string, int) {
	t.Helper()
	cmd := mpirun(t, n, program, args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func mpirun(t *testing.T, n int, program string, args ...string) *exec.Cmd {
	t.Helper()
	if _, err := exec.LookPath("mpirun"); err != nil {
		t.Fatalf("%v (Debian: apt-get install libopenmpi-dev openmpi-bin pkg-config)", err)
	}
	cmd := exec.Command("mpirun", append([]string{"-n", fmt.Sprint(n), "--oversubscribe", "--bind-to", "none", program}, args...)...)
	cmd.Env = append(os.Environ(), "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1")
	return cmd
}

// TestSums: every rank gets the sum that one process makes in order of ranks, to the last bit, whatever the number of values:
// fewer than ranks, a whole chunk, one more, several.
func TestSums(t *testing.T) {
	if os.Getenv(asRank) == "sums" {
		if err := sums(); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Setenv(asRank, "sums")
	for _, n := range []int{1, 2, 3, 4} {
		out, code := launch(t, n, os.Args[0], "-test.run=^TestSums$")
		if code != 0 || strings.Count(out, "summed") != n {
			t.Errorf("%d ranks: exit code %d\n%s", n, code, out)
		}
	}
}

// sums is what a rank does: it knows what the others bring.
func sums() error {
	world, err := mpi.Start()
	if err != nil {
		return err
	}
	for _, n := range []int{0, 1, 2, 3, 1000, mpi.Chunk, mpi.Chunk + 1, 2*mpi.Chunk + 12345} {
		want := make([]float32, n)
		for r := range world.Size() {
			for i, x := range brought(r, n) {
				if r == 0 {
					want[i] = x
				} else {
					want[i] += x
				}
			}
		}
		got := brought(world.Rank(), n)
		if err := world.Sum(got); err != nil {
			return err
		}
		for i := range want {
			if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
				return fmt.Errorf("rank %d, value %d of %d: %v, want %v", world.Rank(), i, n, got[i], want[i])
			}
		}
	}
	all, err := world.Gather([]float64{float64(world.Rank()), 0.1})
	for r, of := range all {
		if of[0] != float64(r) || of[1] != 0.1 || len(all) != world.Size() {
			err = errors.Join(err, fmt.Errorf("rank %d gathered %v", world.Rank(), all))
		}
	}
	fmt.Println("summed")
	return errors.Join(err, world.End())
}

// brought is what a rank adds: numbers of many sizes, so that the order of a sum shows.
func brought(rank, n int) []float32 {
	words := rng.New(1, "brought", rank, n)
	values := make([]float32, n)
	for i := range values {
		w := words.Uint64()
		values[i] = float32(math.Ldexp(float64(w>>40)-1<<23, int(w%20)-30))
	}
	return values
}

// TestAbort: one rank ends all, and mpirun returns its code.
func TestAbort(t *testing.T) {
	if os.Getenv(asRank) == "abort" {
		world, err := mpi.Start()
		if err != nil {
			t.Fatal(err)
		}
		if world.Rank() == 1 {
			world.Abort(7)
		}
		_, err = world.Gather([]float64{1}) // which rank 1 never joins
		t.Fatal("the sum came about", err)
	}
	t.Setenv(asRank, "abort")
	if out, code := launch(t, 3, os.Args[0], "-test.run=^TestAbort$"); code != 7 {
		t.Errorf("exit code %d, want 7\n%s", code, out)
	}
}
