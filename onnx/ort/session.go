package ort

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"metalora/onnx"
	"metalora/onnx/kernels"

	engine "github.com/yalue/onnxruntime_go"
)

// Options say how a session runs. The zero value is right for one session on a machine of its own.
type Options struct {
	Threads int // that one operator is spread over; 0: as many as Go uses (GOMAXPROCS)

	// Spin lets threads that wait for work burn their core while a run is under way, in place of sleeping until the next
	// operator wakes them. It gains where nothing else wants the cores and loses where others do.
	Spin bool

	Device Device // that computes; see [Ready] for what it needs

	// Kernels lets the model use the operators of package kernels, as [kernels.Lower] writes them.
	Kernels bool

	// Outputs limits the session to some of the model's outputs; nil: all. The engine computes every node in any case.
	Outputs []string

	// ProfilePrefix starts the name of a JSON file with the time of every node, written on Close; empty: none.
	ProfilePrefix string
}

// Session is a model made ready to run. Several goroutines may run it at once.
type Session struct {
	surface

	mu    sync.RWMutex // runs read-lock it, Close locks it
	inner *engine.DynamicAdvancedSession

	cleanup runtime.Cleanup // closes a session that is forgotten
}

// sessions counts those not yet closed.
var sessions atomic.Int64

// Open prepares a model given as the bytes of an .onnx file without external data.
func Open(model []byte, o Options) (*Session, error) {
	s, err := openBytes(model, nil, o)
	if err != nil {
		return nil, fmt.Errorf("opening a model: %w", err)
	}
	return s, nil
}

// OpenModel prepares a model.
func OpenModel(m *onnx.Model, o Options) (*Session, error) {
	model, err := m.Marshal()
	if err != nil {
		return nil, fmt.Errorf("opening a model: %w", err)
	}
	s, err := openBytes(model, m, o)
	if err != nil {
		return nil, fmt.Errorf("opening a model: %w", err)
	}
	return s, nil
}

// OpenFile prepares an .onnx file; external data is read from beside it.
func OpenFile(path string, o Options) (*Session, error) {
	s, err := openFile(path, o)
	if err != nil {
		return nil, fmt.Errorf("opening model %s: %w", path, err)
	}
	return s, nil
}

// openBytes opens a model whose Go form may be known already.
func openBytes(model []byte, m *onnx.Model, o Options) (*Session, error) {
	if err := Start(""); err != nil {
		return nil, err
	}
	g, err := describe(model, m)
	if err != nil {
		return nil, err
	}
	return g.open(o, func(so *engine.SessionOptions) (*engine.DynamicAdvancedSession, error) {
		return engine.NewDynamicAdvancedSessionWithONNXData(model, names(g.inputs), names(g.outputs), so)
	})
}

func openFile(path string, o Options) (*Session, error) {
	if err := Start(""); err != nil {
		return nil, err
	}
	g, err := describeFile(path)
	if err != nil {
		return nil, err
	}
	return g.open(o, func(so *engine.SessionOptions) (*engine.DynamicAdvancedSession, error) {
		return engine.NewDynamicAdvancedSession(path, names(g.inputs), names(g.outputs), so)
	})
}

// open makes a session of the surface, narrowed to the outputs that o chooses before call reads its names.
func (g *surface) open(o Options, call func(*engine.SessionOptions) (*engine.DynamicAdvancedSession, error)) (*Session, error) {
	if err := g.choose(o.Outputs); err != nil {
		return nil, err
	}
	if len(g.inputs) == 0 || len(g.outputs) == 0 {
		return nil, errors.New("it needs at least one input and one output")
	}
	so, err := o.session()
	if err != nil {
		return nil, err
	}
	defer so.Destroy()
	if o.Device == CUDA {
		defer keepSignals()() // the session is what starts CUDA
	}
	inner, err := call(so)
	if err != nil && o.Device == CUDA {
		err = lack(err)
	}
	if err != nil {
		return nil, err
	}
	sessions.Add(1)
	s := &Session{surface: *g, inner: inner}
	s.cleanup = runtime.AddCleanup(s, destroy, inner)
	return s, nil
}

// session turns the options into the engine's. Planning memory ahead is off because it nearly doubles the peak where
// shapes vary; operators run one after another because each is spread over all threads.
func (o Options) session() (*engine.SessionOptions, error) {
	so, err := engine.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	threads, spin := o.Threads, "0"
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	if o.Spin {
		spin = "1"
	}
	steps := []error{
		so.SetIntraOpNumThreads(threads),
		so.SetInterOpNumThreads(1),
		so.SetExecutionMode(engine.ExecutionModeSequential),
		so.SetGraphOptimizationLevel(engine.GraphOptimizationLevelEnableAll),
		so.SetMemPattern(false),
		so.SetCpuMemArena(true),
		so.AddSessionConfigEntry("session.intra_op.allow_spinning", spin),
	}
	if o.Spin { // between runs the cores are Go's
		steps = append(steps, so.AddSessionConfigEntry("session.force_spinning_stop", "1"))
	}
	if o.ProfilePrefix != "" {
		steps = append(steps, so.EnableProfiling(o.ProfilePrefix))
	}
	if o.Device == CUDA {
		steps = append(steps, appendCUDA(so))
	}
	if o.Kernels {
		steps = append(steps, addKernels(so), so.AddSessionConfigEntry(kernels.Threads, strconv.Itoa(threads)))
	}
	if err := errors.Join(steps...); err != nil {
		so.Destroy()
		return nil, err
	}
	return so, nil
}

// Inputs are the values that every run must be fed.
func (s *Session) Inputs() []onnx.ValueInfo { return slices.Clone(s.inputs) }

// Outputs are the values that a run can fetch.
func (s *Session) Outputs() []onnx.ValueInfo { return slices.Clone(s.outputs) }

// Close frees the session after the runs under way. Closing twice does nothing.
func (s *Session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inner == nil {
		return nil
	}
	s.cleanup.Stop()
	destroy(s.inner)
	s.inner = nil
	return nil
}

func destroy(inner *engine.DynamicAdvancedSession) {
	inner.Destroy()
	sessions.Add(-1)
}

// Run computes the outputs that fetches names from the inputs in feeds, all of which are needed. A fetch that is nil
// is filled in with a new tensor, the caller's from then on; any other is written in place and must have the shape
// that the output turns out to have. Outputs that are not fetched cost a copy (see [Options].Outputs).
func (s *Session) Run(feeds, fetches map[string]*Tensor) error {
	return s.RunContext(context.Background(), feeds, fetches)
}
