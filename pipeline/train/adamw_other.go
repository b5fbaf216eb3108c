//go:build !amd64

package train

// wide updates nothing where there is no way to do it several weights at a time.
func (k *coefficients) wide(p, g, m, v []float32) int { return 0 }
