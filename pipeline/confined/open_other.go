//go:build !unix

package confined

// withoutWaiting is nothing where opening a file does not wait.
const withoutWaiting = 0
