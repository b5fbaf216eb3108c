package linear

import (
	"fmt"
	"path/filepath"
	"strings"

	"metalora/eval"
	"metalora/pipeline/board"
	"metalora/pipeline/disk"
)

// eventsFolder holds event files for TensorBoard: a folder for each line of the paper's figures, and one for the report.
const eventsFolder = "events"

// WriteBoard shows a study whose report lies in dir on a board: the error of the new task by step along each line of the
// figures, the mean over runs, and the report's text and figures.
func WriteBoard(c *Config, r *Results, d *eval.Document, dir string) error {
	events := filepath.Join(dir, eventsFolder)
	if err := disk.RemoveAll(events); err != nil {
		return fmt.Errorf("writing events: %w", err)
	}
	var text strings.Builder
	err := d.Text(&text)
	if err == nil {
		err = board.Report(filepath.Join(events, "report"), text.String(), filepath.Join(dir, "figures"))
	}
	for _, f := range figures {
		for _, p := range f.points(c) {
			for _, noise := range c.Noise {
				for _, method := range []string{NameSR, NameMeta} {
					if runs := r.lines(f, p, noise, method); err == nil && len(runs) > 0 {
						err = course(events, f, runs)
					}
				}
			}
		}
	}
	return err
}

// course writes one line of a figure; its runs note their errors after the same steps.
func course(events string, f figure, runs []Adapted) error {
	first := runs[0]
	point := map[string]any{"varies": f.key, "method": first.Method, "noise": first.Noise, "adapter_rank": first.Rank, "dimension": first.Point.Dimension,
		"tasks": first.Point.Tasks, "samples": first.Point.Samples, "adapt_samples": first.Point.AdaptSamples, "rank": first.Point.Rank}
	name := board.FolderName(fmt.Sprintf("%s=%d.noise=%g.%s", f.key, point[f.key], first.Noise, first.Method))
	w, err := board.Create(filepath.Join(events, name), 0)
	if err != nil {
		return err
	}
	w.Hyperparameters(name, point)
	for i, step := range first.Steps {
		w.Scalar("adaptation/error", step, spreadOf(runs, func(a Adapted) float64 { return a.Errors[i] }).mean)
	}
	return w.Close()
}
