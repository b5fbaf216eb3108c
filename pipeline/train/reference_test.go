package train

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"metalora/adapters"
	"metalora/models"
	"metalora/models/safetensors"
	"metalora/tokenize"
)

// reference is where the numbers computed by PyTorch lie: beside the project, not in it.
func reference(t *testing.T, elements ...string) string {
	t.Helper()
	path := filepath.Join(append([]string{"..", "..", "..", "shared", "reference"}, elements...)...)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the reference numbers are missing: %v", err)
		}
		t.Skipf("needs the reference numbers beside the project; nano-roberta's in testdata are checked without them: %v", err)
	}
	return path
}

// fixture is a .safetensors file of a reference, read as what each test needs.
type fixture struct {
	t *testing.T
	*safetensors.File
}

func openFixture(t *testing.T, path string) fixture {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return fixture{t, f}
}

func (f fixture) ints(name string) []int64 {
	f.t.Helper()
	x, err := f.Int64(name)
	if err != nil {
		f.t.Fatal(err)
	}
	return x
}

func (f fixture) floats(name string) []float32 {
	f.t.Helper()
	x, err := f.Float32(name)
	if err != nil {
		f.t.Fatal(err)
	}
	return x
}

func (f fixture) doubles(name string) []float64 {
	f.t.Helper()
	x, err := f.Float64(name)
	if err != nil {
		f.t.Fatal(err)
	}
	return x
}

func (f fixture) shape(name string) []int {
	f.t.Helper()
	for _, info := range f.Infos() {
		if info.Name == name {
			return info.Shape
		}
	}
	f.t.Fatalf("no tensor %s", name)
	return nil
}

func (f fixture) has(name string) bool {
	for _, info := range f.Infos() {
		if info.Name == name {
			return true
		}
	}
	return false
}

// tensors are those whose names begin with the prefix, without it.
func (f fixture) tensors(prefix string) safetensors.Tensors {
	found := safetensors.Tensors{}
	for _, info := range f.Infos() {
		if rest, ok := strings.CutPrefix(info.Name, prefix); ok && strings.HasPrefix(info.DType, "F") {
			found[rest] = safetensors.Tensor{Shape: info.Shape, Data: f.floats(info.Name)}
		}
	}
	return found
}

func loadModel(t *testing.T, dir string) *models.Folder {
	t.Helper()
	folder, err := models.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

func newSet(t *testing.T, tensors safetensors.Tensors, a models.Architecture) *Set {
	t.Helper()
	set, err := NewSet(tensors, PadRows(a))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(set.Close)
	return set
}

func newEngine(t *testing.T, spec Spec) *Engine {
	t.Helper()
	engine, err := NewEngine(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Close)
	return engine
}

// lora4 is the reference's adapter: rank 4 and alpha 16 on every linear layer of the encoder.
func lora4(t *testing.T, a models.Architecture) []adapters.Site {
	t.Helper()
	return sitesOf(t, a, adapters.LoRA{Rank: 4, Alpha: 16})
}

func sitesOf(t *testing.T, a models.Architecture, lora adapters.LoRA) []adapters.Site {
	t.Helper()
	graph, err := a.Forward(models.Dropout{})
	if err != nil {
		t.Fatal(err)
	}
	sites, err := lora.Sites(adapters.Linears(graph))
	if err != nil {
		t.Fatal(err)
	}
	return sites
}

// goldens are folders of the reference that can be checked: all of them beside the project, nano-roberta's in testdata too.
func goldenCases(t *testing.T) map[string]string {
	cases := map[string]string{"nano-roberta": "testdata/nano-roberta", "nano-roberta-edge": "testdata/nano-roberta"}
	for name := range cases {
		if _, err := os.Stat(filepath.Join("testdata", "gradients", name+".safetensors")); err != nil {
			t.Fatal(err)
		}
	}
	return cases
}

type gradientIndex map[string]struct {
	LoRA    *struct{ Rank, Alpha float64 }
	Loss    float64
	Tensors map[string]struct {
		Norm  float64
		Error float64 `json:"float32_max_abs_error"`
	}
}

// TestGradients compares every gradient with float64 PyTorch's. The largest error allowed is ten times float32
// PyTorch's own, and a ten-thousandth of the tensor's largest entry; key biases, whose gradient is zero, are held to 1e-6.
func TestGradients(t *testing.T) {
	for name, model := range goldenCases(t) {
		t.Run(name, func(t *testing.T) {
			checkGradients(t, name, model, filepath.Join("testdata", "gradients"))
		})
	}
	for _, name := range []string{"tiny-roberta-1", "tiny-roberta-3", "tiny-roberta-lora-1", "tiny-roberta-lora-3", "nano-bert"} {
		t.Run(name, func(t *testing.T) {
			model, _, _ := strings.Cut(name, "-1")
			model, _, _ = strings.Cut(model, "-3")
			checkGradients(t, name, reference(t, strings.TrimSuffix(model, "-lora")), reference(t, "gradients"))
		})
	}
}

func checkGradients(t *testing.T, name, model, dir string) {
	var index gradientIndex
	readJSON(t, filepath.Join(dir, "index.json"), &index)
	folder, golden := loadModel(t, model), openFixture(t, filepath.Join(dir, name+".safetensors"))
	spec, sets := Spec{Architecture: folder.Architecture, Trains: Base | Head}, []*Set{newSet(t, folder.Tensors, folder.Architecture)}
	if index[name].LoRA != nil {
		spec.Sites, spec.Trains = lora4(t, folder.Architecture), Adapter|Head
		own := safetensors.Tensors{}
		for name, tensor := range golden.tensors("") {
			if strings.Contains(name, ".lora_") && !strings.HasPrefix(name, "grad.") {
				own[name] = tensor
			}
		}
		sets = append([]*Set{newSet(t, own, folder.Architecture)}, sets...)
	}
	engine := newEngine(t, spec)
	loss := accumulateFixture(t, engine, golden, sets)
	if want := golden.doubles("loss")[0]; math.Abs(loss-want) > 1e-6*math.Abs(want) {
		t.Errorf("loss %v, want %v", loss, want)
	}
	for tensor, entry := range index[name].Tensors {
		p := find(sets, tensor)
		if p == nil {
			t.Errorf("%s has a gradient there and is no weight here", tensor)
			continue
		}
		compareGradient(t, golden, p, entry.Error)
	}
	if got, want := len(spec.Trained()), len(index[name].Tensors); got != want {
		t.Errorf("%d gradients, want %d", got, want)
	}
}

// TestGradientsOfFamilies compares every gradient of the smallest model of each family with float64 PyTorch's: within a
// ten-thousandth of the tensor's largest entry, and key biases, whose gradient is zero, within 1e-6.
func TestGradientsOfFamilies(t *testing.T) {
	for _, name := range []string{"bert-gelu-new", "bert-relu", "distilbert", "xlm-roberta"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join("..", "..", "models", "testdata", "micro", name)
			folder, golden := loadModel(t, dir), openFixture(t, filepath.Join(dir, "golden.safetensors"))
			spec, set := Spec{Architecture: folder.Architecture, Trains: Base | Head}, newSet(t, folder.Tensors, folder.Architecture)
			loss := accumulateFixture(t, newEngine(t, spec), golden, []*Set{set})
			if want := golden.doubles("loss")[0]; math.Abs(loss-want) > 1e-6*math.Abs(want) {
				t.Errorf("loss %v, want %v", loss, want)
			}
			for _, parameter := range spec.Trained() {
				compareGradient(t, golden, find([]*Set{set}, parameter), math.Inf(1))
			}
			if got, want := len(spec.Trained()), len(golden.tensors("grad.")); got != want {
				t.Errorf("%d gradients, want %d", got, want)
			}
		})
	}
}

// accumulateFixture runs the fixture's rows as one batch. Its labels are any, so the targets are made from them.
func accumulateFixture(t *testing.T, engine *Engine, golden fixture, sets []*Set) float64 {
	t.Helper()
	shape := golden.shape("input_ids")
	batch := tokenize.Batch{IDs: golden.ints("input_ids"), Mask: golden.ints("attention_mask"), Rows: shape[0], Length: shape[1]}
	if golden.has("token_type_ids") {
		batch.Types = golden.ints("token_type_ids")
	}
	targets := make([]float32, 2*shape[0])
	for row, label := range golden.ints("labels") {
		targets[2*row+int(label)] = 1 / float32(shape[0])
	}
	loss, err := engine.accumulate(t.Context(), batch, targets, nil, sets)
	if err != nil {
		t.Fatal(err)
	}
	return loss
}

func compareGradient(t *testing.T, golden fixture, p *Param, natural float64) {
	t.Helper()
	want := make([]float32, len(p.Value))
	if name := "grad." + p.Name; golden.has(name) {
		copy(want, golden.floats(name))
	} else {
		spread(want, p.Shape[1], golden.ints(name+".indices"), golden.floats(name+".rows"))
	}
	largest, worst := 0.0, 0.0
	for i, x := range want {
		largest = math.Max(largest, math.Abs(float64(x)))
		worst = math.Max(worst, math.Abs(float64(x-p.gradient()[i])))
	}
	allowed := math.Min(10*natural, 1e-4*largest)
	if strings.HasSuffix(p.Name, "key.bias") || strings.HasSuffix(p.Name, "k_lin.bias") {
		allowed = 1e-6
	}
	if worst > allowed {
		t.Errorf("%s: largest error %.3g, allowed %.3g (PyTorch's own %.3g, largest entry %.3g)", p.Name, worst, allowed, natural, largest)
	}
}

func spread(into []float32, width int, ids []int64, rows []float32) {
	for i, id := range ids {
		copy(into[int(id)*width:(int(id)+1)*width], rows[i*width:])
	}
}

// A batch whose turns go through one at a time has the gradient of the batch as a whole, to float32 rounding, where
// all turns have the same number of candidates; where not, each pair weighs the same, not each turn.
func TestAccumulationEqualsOneBatch(t *testing.T) {
	folder := loadModel(t, "testdata/nano-roberta")
	for name, sizes := range map[string][]int{"equal candidates": {4, 4, 4}, "unequal candidates": {2, 5, 3}} {
		t.Run(name, func(t *testing.T) {
			turns, whole, wholeTargets := drawnTurns(sizes, 9)
			engine := newEngine(t, Spec{Architecture: folder.Architecture, Trains: Base | Head})
			one, many := newSet(t, folder.Tensors, folder.Architecture), newSet(t, folder.Tensors, folder.Architecture)
			wholeLoss, err := engine.accumulate(t.Context(), whole, wholeTargets, nil, []*Set{one})
			if err != nil {
				t.Fatal(err)
			}
			sum := 0.0
			for _, turn := range turns {
				loss, err := engine.Accumulate(t.Context(), turn, whole.Rows, nil, many)
				if err != nil {
					t.Fatal(err)
				}
				sum += loss
			}
			if math.Abs(sum-wholeLoss) > 1e-6 {
				t.Errorf("loss %v in turns, %v as one batch", sum, wholeLoss)
			}
			for _, name := range one.Names() {
				compareSlices(t, name, one.params[name].gradient(), many.params[name].gradient(), 2e-6)
			}
		})
	}
}

// drawnTurns makes turns of the given numbers of candidates, and all their pairs as one batch.
func drawnTurns(candidates []int, length int) (turns []*Turn, whole tokenize.Batch, wholeTargets []float32) {
	next, pairs := int64(10), 0
	for _, n := range candidates {
		pairs += n
	}
	for _, n := range candidates {
		rows := make([][]int, n)
		for r := range rows {
			for range length - r%3 {
				next = (next*31 + 7) % 990
				rows[r] = append(rows[r], int(next)+4)
			}
		}
		turn := &Turn{Batch: tokenize.NewBatch(rows, 1), Gold: n - 1}
		wholeTargets = append(wholeTargets, targets(turn, pairs)...)
		whole.IDs, whole.Mask = append(whole.IDs, turn.IDs...), append(whole.Mask, turn.Mask...)
		whole.Rows, whole.Length = whole.Rows+n, turn.Length
		turns = append(turns, turn)
	}
	return turns, whole, wholeTargets
}

func compareSlices(t *testing.T, name string, want, got []float32, tolerance float64) {
	t.Helper()
	if len(want) != len(got) {
		t.Errorf("%s: %d numbers, want %d", name, len(got), len(want))
		return
	}
	worst, at := 0.0, -1
	for i := range want {
		if e := math.Abs(float64(want[i]) - float64(got[i])); e > worst || math.IsNaN(e) {
			worst, at = e, i
		}
	}
	if at >= 0 && !(worst <= tolerance) {
		t.Errorf("%s[%d]: %v, want %v (off by %.3g, allowed %.3g)", name, at, got[at], want[at], worst, tolerance)
	}
}

func taskName(i int) string { return fmt.Sprintf("task %d", i) }
