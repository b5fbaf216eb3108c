package pipeline

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"metalora/eval"
	"metalora/pipeline/confined"
	"metalora/pipeline/disk"
	"metalora/pipeline/fault"
)

// resultsFile is the file to which evaluations are added, one a line, each on the disk before the next begins.
type resultsFile struct {
	path string // "": there is none
	file *os.File
	lock *lock
	done []Evaluation
}

// openResults reads what a results file has of the evaluations asked for, and returns those still to do. A line that a crash
// left unfinished goes, and so does one of an adapter that has changed since. Results of another model or other data are
// none of ours: the file is left alone.
func openResults(path string, asked []Evaluation) (*resultsFile, []Evaluation, error) {
	r := &resultsFile{path: path}
	if path == "" {
		return r, asked, nil
	}
	var err error
	if r.lock, err = acquire(path + ".lock"); err != nil {
		return nil, nil, fmt.Errorf("writing results to %s: %w", path, err)
	}
	pending, err := r.take(asked)
	if err == nil {
		r.file, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	}
	if err != nil {
		r.close()
		return nil, nil, err
	}
	return r, pending, nil
}

// take reads the file and writes it again with the lines that still hold.
func (r *resultsFile) take(asked []Evaluation) (pending []Evaluation, err error) {
	data, err := confined.Read(r.path, maxRecord)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Usage(fmt.Errorf("writing results: %w", err))
	}
	old, err := parseResults(r.path, data)
	if err != nil {
		return nil, fault.Usage(fmt.Errorf("writing results to %s, which holds something else: %w; name another file", r.path, err))
	}
	known := map[string]Evaluation{}
	var kept []Evaluation
	for _, x := range old {
		if len(asked) > 0 && x.Inputs != asked[0].Inputs {
			return nil, fault.Usage(fmt.Errorf("writing results to %s: it holds those of another model, data or separator; name another file", r.path))
		}
		known[x.key()] = x
	}
	for _, x := range asked {
		if was, ok := known[x.key()]; ok {
			was.Adapter = x.Adapter // a spreadsheet's name may have an apostrophe in front
			r.done = append(r.done, was)
		} else {
			pending = append(pending, x)
		}
	}
	for _, x := range old {
		if !changed(x, pending) {
			kept = append(kept, x)
		}
	}
	return pending, disk.WriteFile(r.path, append(r.heading(), bytes.Join(r.lines(kept), nil)...))
}

// changed tells whether a result is of an adapter that is to be evaluated again.
func changed(x Evaluation, pending []Evaluation) bool {
	for _, p := range pending {
		if harmlessName(p.Adapter) == harmlessName(x.Adapter) {
			return true
		}
	}
	return false
}

func harmlessName(name string) string { return strings.TrimPrefix(name, "'") }

// key tells evaluations apart.
func (x Evaluation) key() string { return harmlessName(x.Adapter) + "\n" + x.Weights }

// add puts an evaluation on the disk.
func (r *resultsFile) add(x Evaluation) error {
	if r.file == nil {
		return nil
	}
	_, err := r.file.Write(r.lines([]Evaluation{x})[0])
	if err = errors.Join(err, r.file.Sync()); err != nil {
		return fmt.Errorf("writing results to %s: %w", r.path, err)
	}
	return nil
}

// left says what a stop left undone.
func (r *resultsFile) left(pending int) string {
	if r.file == nil {
		return "nothing was kept; with --out FILE a stopped evaluation can go on"
	}
	return fmt.Sprintf("%d adapters are not evaluated yet; the same command goes on with them", pending)
}

func (r *resultsFile) close() {
	if r == nil {
		return
	}
	if r.file != nil {
		r.file.Close()
	}
	if r.lock != nil {
		_ = r.lock.release()
	}
}

func isCSV(path string) bool { return strings.EqualFold(filepath.Ext(path), ".csv") }

// heading is the first line of a CSV file.
func (r *resultsFile) heading() []byte {
	if !isCSV(r.path) {
		return nil
	}
	return csvOf(nil)
}

// lines are evaluations as the file has them.
func (r *resultsFile) lines(all []Evaluation) [][]byte {
	lines := make([][]byte, len(all))
	for i, x := range all {
		if isCSV(r.path) {
			lines[i] = csvOf(&x)[len(csvOf(nil)):]
			continue
		}
		line, _ := json.Marshal(x) // numbers and text, which always can be
		lines[i] = append(line, '\n')
	}
	return lines
}

// csvOf is a CSV file of one evaluation or of none.
func csvOf(x *Evaluation) []byte {
	t := eval.Table{Key: "evaluation"}
	for _, name := range csvFields {
		t.Columns = append(t.Columns, eval.Column{Key: name})
	}
	if x != nil {
		t.Rows = [][]eval.Cell{{eval.Words(x.Adapter), eval.Count(x.Turns), eval.Number(x.Accuracy, 4), eval.Number(x.Hits5, 4), eval.Number(x.MRR, 4),
			eval.Number(x.Chance, 4), eval.Number(x.Correct, 2), eval.Count(x.Cut), eval.Words(x.Inputs), eval.Words(x.Weights)}}
	}
	var out bytes.Buffer
	_ = t.WriteCSV(&out) // a buffer takes all
	return out.Bytes()
}

var csvFields = []string{"adapter", "turns", "accuracy", "hits5", "mrr", "chance", "correct", "cut", "inputs", "weights"}

// parseResults reads a results file up to its last whole line. An error names file and line.
func parseResults(path string, data []byte) ([]Evaluation, error) {
	data = data[:bytes.LastIndexByte(data, '\n')+1]
	if isCSV(path) {
		return parseCSV(path, data)
	}
	var all []Evaluation
	for i, line := range bytes.Split(data, []byte{'\n'}) {
		if len(line) == 0 {
			continue
		}
		var x Evaluation
		decoder := json.NewDecoder(bytes.NewReader(line))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&x); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, i+1, err)
		}
		all = append(all, x)
	}
	return all, nil
}

func parseCSV(path string, data []byte) ([]Evaluation, error) {
	rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	if strings.Join(rows[0], ",") != strings.Join(csvFields, ",") {
		return nil, fmt.Errorf("%s:1: the columns are not %s", path, strings.Join(csvFields, ","))
	}
	var all []Evaluation
	for i, row := range rows[1:] {
		x := Evaluation{Adapter: row[0], Inputs: row[8], Weights: row[9]}
		for column, to := range map[int]*int{1: &x.Turns, 7: &x.Cut} {
			if *to, err = strconv.Atoi(row[column]); err != nil {
				return nil, fmt.Errorf("%s: result %d: %w", path, i+1, err)
			}
		}
		for i, to := range []*float64{&x.Accuracy, &x.Hits5, &x.MRR, &x.Chance, &x.Correct} {
			if *to, err = strconv.ParseFloat(row[2+i], 64); err != nil {
				return nil, fmt.Errorf("%s: result %d: %w", path, i+1, err)
			}
		}
		all = append(all, x)
	}
	return all, nil
}

// textSum is the SHA-256 of texts, in hex.
func textSum(texts ...string) string {
	hash := sha256.New()
	for _, t := range texts {
		fmt.Fprintf(hash, "%d %s\n", len(t), t)
	}
	return hex.EncodeToString(hash.Sum(nil))
}
