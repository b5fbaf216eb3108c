package train

import "golang.org/x/sys/cpu"

//go:noescape
func updateWide(p, d, m, v *float32, n int, k *coefficients)

// wide updates what it can eight weights at a time and returns how many that were. One at a time, the root and the division
// take longer than the memory does.
func (k *coefficients) wide(p, g, m, v []float32) int {
	n := len(p) &^ 7
	if n == 0 || !cpu.X86.HasAVX2 {
		return 0
	}
	updateWide(&p[0], &g[0], &m[0], &v[0], n, k)
	return n
}
