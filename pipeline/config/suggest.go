package config

import (
	"fmt"
	"strings"
)

// Suggest ends a message about an unknown name: the nearest valid name, or all of them.
func Suggest(name string, valid []string) string {
	if best := nearest(name, valid); best != "" {
		return fmt.Sprintf(" (did you mean %q?)", best)
	}
	return fmt.Sprintf(" (valid: %s)", strings.Join(valid, ", "))
}

// nearest returns the valid name with the fewest edits from name, or nothing where none is close.
func nearest(name string, valid []string) string {
	best, least := "", max(2, len(name)/3)+1
	for _, v := range valid {
		if d := edits(strings.ToLower(name), strings.ToLower(v)); d < least {
			best, least = v, d
		}
	}
	return best
}

// edits is Levenshtein's distance: how many bytes to insert, delete or change to make a into b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
