package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"metalora/models/safetensors"
	"metalora/pipeline/confined"
	"metalora/pipeline/disk"
	"metalora/pipeline/fault"
	"metalora/pipeline/train"
)

// Names in a unit's work folder and in each of its checkpoints. A checkpoint also holds metrics.jsonl as it was.
const (
	checkpointsFolder = "checkpoints"
	stateFile         = "state.json"
	tensorsFile       = "state.safetensors"
	damagedSuffix     = ".damaged"
	unfinishedSuffix  = ".tmp"
)

// maxMetrics bounds what a checkpoint says of the steps so far: a hundred bytes a step.
const maxMetrics = 1 << 30

// checkpoints are what a running unit keeps of itself, in its work folder.
type checkpoints struct {
	dir         string
	unit        string
	settings    Checkpoint
	environment environment // what the unit's bits depend on here; known once the engine has started
	expected    *expected   // what a checkpoint of this training can be; known then too
	note        func(text string)
	elsewhere   func(differences string) error // told when a unit goes on in another environment
	next        time.Time                      // when the next one is due
	current     *writing                       // the one that is being written; nil: none
}

func newCheckpoints(c *Config, u *Unit, p Progress) *checkpoints {
	return &checkpoints{
		dir: filepath.Join(u.Work, checkpointsFolder), unit: u.ID, settings: c.Checkpoint, note: p.Note,
		elsewhere: func(differences string) error { return u.note(attempt{Host: hostName(), Elsewhere: differences}) },
		next:      time.Now().Add(c.Checkpoint.pause()),
	}
}

// saved is a checkpoint's state.json: what a session has gathered so far.
type saved struct {
	Unit   string      `json:"unit"`
	Run    train.State `json:"run"`
	Loss   float64     `json:"loss"`  // of the epoch under way, summed
	Steps  int         `json:"steps"` // of the epoch under way
	Result *Result     `json:"result"`

	tensors safetensors.Tensors // the run's and, as "kept/SET/NAME", the kept weights
	metrics []byte
}

// name orders checkpoints as they were made.
func (s *saved) name() string { return fmt.Sprintf("step-%08d-epochs-%05d", s.Run.Done, s.Run.Ended) }

// wrong is the error that a folder is not as its manifest says; it names each file.
func wrong(dir string) error {
	m, err := readManifest(dir)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, manifestFile), err)
	}
	problems, err := m.check(dir, "")
	if err != nil {
		return err
	}
	var all []error
	for _, p := range problems {
		all = append(all, fmt.Errorf("%s: %s", filepath.Join(dir, p.File), p.Problem))
	}
	return errors.Join(all...)
}

// list names the finished checkpoints, the newest first.
func (c *checkpoints) list() ([]string, error) {
	entries, err := os.ReadDir(c.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("looking for checkpoints: %w", err)
	}
	var names []string
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), "step-") && filepath.Ext(entry.Name()) == "" {
			names = append(names, entry.Name())
		}
	}
	slices.Sort(names)
	slices.Reverse(names)
	return names, nil
}

// clear removes what a process left that ended while it wrote or removed a checkpoint.
func (c *checkpoints) clear() error {
	entries, err := os.ReadDir(c.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), unfinishedSuffix) {
			err = errors.Join(err, disk.RemoveAll(filepath.Join(c.dir, entry.Name())))
		}
	}
	if err != nil {
		return fmt.Errorf("removing an unfinished checkpoint: %w", err)
	}
	return nil
}

// newest reads the newest checkpoint that is as it was written; nil where there is none. Damaged ones are named and set
// aside.
func (c *checkpoints) newest() (*saved, error) {
	names, err := c.list()
	if err != nil {
		return nil, err
	}
	if err := c.clear(); err != nil {
		return nil, err
	}
	for _, name := range names {
		dir := filepath.Join(c.dir, name)
		if err := c.expected.sizes(dir); err != nil {
			return nil, lie(fmt.Errorf("reading the checkpoint %s: %w", dir, err))
		}
		if err := wrong(dir); err != nil {
			c.note("a damaged checkpoint is passed over: " + err.Error())
			if err := errors.Join(disk.RemoveAll(dir+damagedSuffix), disk.Rename(dir, dir+damagedSuffix)); err != nil {
				return nil, fmt.Errorf("setting a damaged checkpoint aside: %w", err)
			}
			continue
		}
		s, err := c.read(dir)
		if err != nil {
			return nil, fmt.Errorf("reading the checkpoint %s: %w", dir, err)
		}
		return s, c.sameEnvironment(dir)
	}
	return nil, nil
}

// readState reads how far a checkpoint is.
func readState(dir string) (*saved, error) {
	s := &saved{}
	data, err := confined.ReadIn(dir, stateFile, maxRecord)
	if err == nil {
		err = decode(data, s)
	}
	if err == nil && s.Result == nil {
		err = errors.New("it has no result")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", stateFile, err)
	}
	return s, nil
}

// lie marks an error as the fault of a checkpoint, where it is not the disk's, which may come round.
func lie(err error) error {
	if _, disk := errors.AsType[*fs.PathError](err); disk {
		return err
	}
	return fault.Input(err)
}

// read reads a checkpoint that is as its manifest says. What it says must fit the training: who wrote it can have written the manifest too.
func (c *checkpoints) read(dir string) (*saved, error) {
	s, err := readState(dir)
	if err != nil {
		return nil, lie(err)
	}
	if s.Unit != c.unit {
		return nil, fault.Usage(fmt.Errorf("%s: it is of %q, which has other settings or other data than %q (set them as they were, or remove the checkpoint)", stateFile, s.Unit, c.unit))
	}
	if err := c.expected.progress(s); err != nil {
		return nil, lie(fmt.Errorf("%s: %w", stateFile, err))
	}
	if s.name() != filepath.Base(dir) {
		return nil, lie(fmt.Errorf("%s: it belongs to %s", stateFile, s.name()))
	}
	if s.metrics, err = readLines(dir, s); err != nil {
		return nil, lie(fmt.Errorf("%s:%w", MetricsFile, err))
	}
	if s.tensors, err = c.readTensors(dir, s); err != nil {
		return nil, lie(fmt.Errorf("%s: %w", tensorsFile, err))
	}
	return s, nil
}

// readLines reads a checkpoint's metrics: a line for each step that lies behind, and one for each epoch that was scored.
func readLines(dir string, s *saved) ([]byte, error) {
	folder, err := confined.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	file, err := folder.Open(MetricsFile)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var all bytes.Buffer
	err = readMetrics(file, s.Run.Done, len(s.Result.Epochs), func(line []byte, _ *measured) error {
		all.Write(line)
		return all.WriteByte('\n')
	})
	return all.Bytes(), err
}

// readTensors reads a checkpoint's weights and moments, once their names and sizes are those of the training.
func (c *checkpoints) readTensors(dir string, s *saved) (safetensors.Tensors, error) {
	folder, err := confined.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	file, err := safetensors.OpenIn(folder, tensorsFile)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := c.expected.tensors(file.Infos(), s); err != nil {
		return nil, err
	}
	all := safetensors.Tensors{}
	for _, info := range file.Infos() { // also what is not finite: AdamW's moments may overflow where weights do not
		values, err := file.Float32(info.Name)
		if err != nil {
			return nil, err
		}
		all[info.Name] = safetensors.Tensor{Shape: info.Shape, Data: values}
	}
	return all, nil
}

// sameEnvironment refuses to go on where the same bits cannot be promised, unless that is allowed; then it is noted for
// the provenance.
func (c *checkpoints) sameEnvironment(dir string) error {
	m, err := readManifest(dir)
	if err != nil {
		return err
	}
	differences := m.Environment.differences(c.environment)
	if differences == "" {
		return nil
	}
	if !c.settings.Elsewhere {
		before := ""
		if set := m.Environment.switched(c.environment); set != "" {
			before = "go on with the kernels as they were with --set " + set + ", "
		}
		return fault.Usage(fmt.Errorf("the checkpoint %s was written elsewhere: %s; going on here may change the results' last bits (%sallow it with --set checkpoint.elsewhere=true, or remove the checkpoint)", dir, differences, before))
	}
	c.note("going on from a checkpoint that was written elsewhere: " + differences)
	return c.elsewhere(differences)
}
