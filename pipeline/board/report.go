package board

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Report puts a report on a board, as a folder of its own: its text, and the PNG files of a folder of figures.
func Report(dir, text, figures string) error {
	w, err := Create(dir, 0)
	if err != nil {
		return err
	}
	w.Text("report", 0, "```\n"+text+"\n```")
	entries, err := os.ReadDir(figures)
	if errors.Is(err, os.ErrNotExist) {
		err = nil // a report without figures
	}
	for _, entry := range entries { // in the order of their names
		name, png := strings.CutSuffix(entry.Name(), ".png")
		if !png {
			continue
		}
		data, failed := os.ReadFile(filepath.Join(figures, entry.Name()))
		if failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		w.PNG("figures/"+name, 0, data)
	}
	return errors.Join(err, w.Close())
}

// FolderName is a text as far as file systems take it as a folder's name: letters, digits, - and =; the rest becomes _.
func FolderName(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || slices.Contains([]rune("-.="), r) {
			return r
		}
		return '_'
	}, text)
}
