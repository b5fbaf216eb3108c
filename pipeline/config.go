package pipeline

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"metalora/onnx/ort"
	"metalora/pipeline/config"
	"metalora/pipeline/corpus"
)

// Config is an experiment, as its YAML file says it: every value has a default, and [Config.Write] writes them all out.
// Paths that are not absolute count from the working directory, wherever the file lies.
type Config struct {
	Name      string     `yaml:"name"` // default: the file's name without its extension
	Seeds     []int      `yaml:"seeds,flow"`
	Threads   int        `yaml:"threads"` // 0: as many as the machine has; changes no result's identity
	Spin      bool       `yaml:"spin"`    // threads that wait burn their core in place of sleeping: faster on cores that nothing else wants (docs/profile.md); changes no result
	Kernels   bool       `yaml:"kernels"` // operators of our own where the processor has AVX2: faster, other last bits; false leaves all to ONNX Runtime; changes no result's identity
	Device    ort.Device `yaml:"device"`  // cpu | cuda: what trains and scores (docs/gpu.md); changes no result's identity
	Memory    string     `yaml:"memory"`  // refuse | warn: what becomes of a training that takes more than there is; changes no result
	Data      Data       `yaml:"data"`
	Synthetic *Synthetic `yaml:"synthetic,omitempty"` // made-up dialogues in place of the data files
	Tasks     Tasks      `yaml:"tasks"`
	Model     Model      `yaml:"model"`
	Retrain   Retrain    `yaml:"retrain"`
	Adapt     Adapt      `yaml:"adapt"`
	Optimizer Optimizer  `yaml:"optimizer"`
	Schedule  Schedule   `yaml:"schedule"`
	Report    ReportPlan `yaml:"report"`

	Checkpoint Checkpoint `yaml:"checkpoint"`

	origins config.Origins
}

// Data says which dialogues there are and what becomes a task and a sample.
type Data struct {
	Train         string     `yaml:"train"` // a dialogue file, or a corpus that was pulled: convai2
	Valid         string     `yaml:"valid"`
	TrainPersonas string     `yaml:"train_personas"` // default: train_persona_map.json beside Train; [NoPersonas]: equal persona sets
	ValidPersonas string     `yaml:"valid_personas"` // default: valid_persona_map.json beside Valid
	Rules         string     `yaml:"rules"`          // clean | published
	Match         string     `yaml:"match"`          // expand | literal | subset
	Separator     string     `yaml:"separator"`      // between the utterances of a context
	Distractors   int        `yaml:"distractors"`    // drawn for a turn where the file's own cannot be used
	Turns         Turns      `yaml:"turns"`
	Candidates    Candidates `yaml:"candidates"`
	Folds         int        `yaml:"folds"`      // held-out dialogues rotate so many times
	MaxLength     int        `yaml:"max_length"` // tokens of a pair; 0: the model's positions
}

// NoPersonas stands for a persona map where there is none: dialogues with equal persona sets form a cluster.
const NoPersonas = "none"

// Turns caps the training turns of a task: the first so many; 0 takes all.
type Turns struct {
	Retrain int `yaml:"retrain"`
	Test    int `yaml:"test"`
}

// Candidates caps the candidates of a turn: the true reply and a seeded choice of the others; 0 takes all.
type Candidates struct {
	Train    int `yaml:"train"`
	Evaluate int `yaml:"evaluate"`
}

// Synthetic describes made-up persona dialogues.
type Synthetic struct {
	Personas   SyntheticPersonas `yaml:"personas"`
	Dialogues  int               `yaml:"dialogues"`  // of each persona
	Turns      int               `yaml:"turns"`      // of each dialogue
	Candidates int               `yaml:"candidates"` // of each turn
	Vocabulary int               `yaml:"vocabulary"` // size of the tokenizer that is trained on them
	Seed       int               `yaml:"seed"`       // of the generator; the experiment's seeds leave the dialogues as they are
}

// SyntheticPersonas counts the made-up personas: the clusters of the "train" and of the "valid" file.
type SyntheticPersonas struct {
	Retrain int `yaml:"retrain"`
	Test    int `yaml:"test"`
}

// Tasks names the personas to retrain on and those to adapt to.
type Tasks struct {
	Retrain TaskSet `yaml:"retrain"`
	Test    TaskSet `yaml:"test"`
}

// TaskSet names tasks by file and rank; the last HeldOut dialogues of each are never trained on.
type TaskSet struct {
	File    string `yaml:"file"` // train | valid
	Ranks   Ranks  `yaml:"ranks"`
	HeldOut int    `yaml:"held_out"`
}

// Model is where the base comes from: Path or Init, never both.
type Model struct {
	Path      string  `yaml:"path"`
	Tokenizer string  `yaml:"tokenizer"` // default: Path
	Init      *Init   `yaml:"init,omitempty"`
	Dropout   float64 `yaml:"dropout"` // of hidden states, attention and head, while training
}

// Init is the shape of a base that starts from random weights.
type Init struct {
	Family       string `yaml:"family"` // model_type of a Hugging Face folder: roberta, bert, distilbert, xlm-roberta
	Hidden       int    `yaml:"hidden"`
	Layers       int    `yaml:"layers"`
	Heads        int    `yaml:"heads"`
	Intermediate int    `yaml:"intermediate"` // default: 4 x hidden
	Positions    int    `yaml:"positions"`
	Vocabulary   int    `yaml:"vocabulary"` // 0: the tokenizer's
}

// Retrain is the first stage: each method from each seed.
type Retrain struct {
	Methods      []string  `yaml:"methods,flow"`
	Epochs       int       `yaml:"epochs"`
	Batch        int       `yaml:"batch"` // turns
	LearningRate float64   `yaml:"learning_rate"`
	RateFactors  []float64 `yaml:"rate_factors,flow"` // every rate of retraining times each; the best on held-out turns of retraining tasks is kept
	Inner        Inner     `yaml:"inner"`
	LoRA         LoRA      `yaml:"lora"`
}

// Inner is what methods with two loops have in place of LearningRate: reptile, fomaml, anil.
type Inner struct {
	LearningRate      float64 `yaml:"learning_rate"`       // of the inner loop, constant
	OuterLearningRate float64 `yaml:"outer_learning_rate"` // at its peak
	WeightDecay       float64 `yaml:"weight_decay"`        // of the inner loop; 0: none, without which Reptile moves every weight
	ReptileSteps      int     `yaml:"reptile_steps"`       // before an outer step; 0: as many as the task has batches
	MAMLSteps         int     `yaml:"maml_steps"`          // of fomaml and anil
}

// Adapt is the second stage: each retrained base to each test task by each family.
type Adapt struct {
	Families         []string   `yaml:"families,flow"`
	Turns            TurnCounts `yaml:"turns,flow"` // training turns of a task: the first so many, 0 for no adaptation, all
	Epochs           int        `yaml:"epochs"`
	Batch            int        `yaml:"batch"` // turns
	LearningRate     float64    `yaml:"learning_rate"`
	FullLearningRate float64    `yaml:"full_learning_rate"` // of full fine-tuning
	Score            string     `yaml:"score"`              // held-out turns after: every | last epoch
	LoRA             LoRA       `yaml:"lora"`
}

// LoRA is what LoRA adapters share; the rank stands in the name of the method or family.
type LoRA struct {
	Alpha   float64  `yaml:"alpha"`        // the scale is alpha / rank
	Dropout float64  `yaml:"dropout"`      // of the adapter's input
	Targets []string `yaml:"targets,flow"` // name endings; none: every linear layer of the encoder
}

// Optimizer is AdamW's settings.
type Optimizer struct {
	Beta1       float64 `yaml:"beta1"`
	Beta2       float64 `yaml:"beta2"`
	Epsilon     float64 `yaml:"epsilon"`
	WeightDecay float64 `yaml:"weight_decay"`

	SkipBroken bool `yaml:"skip_broken"` // leave a turn whose loss or gradient is not finite out of its batch, and count it, instead of stopping
}

// Schedule is how the learning rate moves: up over a share of the steps, then down to zero.
type Schedule struct {
	Decay         string  `yaml:"decay"`          // total | published
	Warmup        float64 `yaml:"warmup"`         // share of the steps
	RetrainFactor float64 `yaml:"retrain_factor"` // published: zero at so many times the first task's steps
	AdaptFactor   float64 `yaml:"adapt_factor"`   // published: zero at so many times the task's steps
}

// ReportPlan says which comparisons the report has to be able to make. It changes no unit.
type ReportPlan struct {
	Baseline string   `yaml:"baseline"`    // the method that others are compared with; "": sr, or else the first
	Paired   []string `yaml:"paired,flow"` // tests that are asked for: tasks | seeds; none: each that can be made
}

// Checkpoint says how a unit under way keeps what it has. It changes no result.
type Checkpoint struct {
	Minutes   float64 `yaml:"minutes"`   // between two; more where they would take over 3 % of the time
	Steps     int     `yaml:"steps"`     // instead: one after every so many steps, whatever that costs; 0: by the clock
	Keep      int     `yaml:"keep"`      // how many of the newest stay, at least 2; each holds the weights of a retraining's best epoch so far as well
	Elsewhere bool    `yaml:"elsewhere"` // go on from one of another kind of CPU, build of the engine or kernels; the report says so
}

// pause is the least time between two checkpoints.
func (c Checkpoint) pause() time.Duration { return time.Duration(c.Minutes * float64(time.Minute)) }

// After which epochs of adaptation held-out turns are scored.
const (
	ScoreEvery = "every" // for curves over epochs and the best epoch
	ScoreLast  = "last"  // of all that is reported of an adaptation only the last epoch leads, and scoring is most of its time
)

// What pairs the two sides of a test.
const (
	PairedTasks = "tasks"
	PairedSeeds = "seeds"
)

// Default is the published experiment on the clean rules, without data and model: the tables of docs/experiment.md.
func Default() *Config {
	lora := func() LoRA { return LoRA{Alpha: 16, Dropout: 0.1, Targets: []string{}} }
	return &Config{
		Seeds: []int{0, 1, 2, 3, 4}, Kernels: true, Device: ort.CPU, Memory: MemoryRefuse,
		Data: Data{Rules: "clean", Match: "expand", Distractors: 19, Folds: 1},
		Tasks: Tasks{
			Retrain: TaskSet{File: FileTrain, Ranks: rankRange(1, 10), HeldOut: 3},
			Test:    TaskSet{File: FileValid, Ranks: rankRange(1, 10), HeldOut: 2},
		},
		Model: Model{Dropout: 0.1},
		Retrain: Retrain{Methods: []string{"sr", "meta-lora-8", "meta-lora-16"},
			Epochs: 10, Batch: 8, LearningRate: 5e-5, RateFactors: []float64{1},
			Inner: Inner{LearningRate: 5e-5, OuterLearningRate: 1e-4, WeightDecay: 0.01, ReptileSteps: 20, MAMLSteps: 5}, LoRA: lora()},
		Adapt: Adapt{Families: []string{"lora-8", "lora-16", "last-layer"},
			Turns: TurnCounts{AllTurns}, Epochs: 10, Batch: 8, LearningRate: 1e-4, FullLearningRate: 5e-5, Score: ScoreEvery, LoRA: lora()},
		Optimizer: Optimizer{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 0.01},
		Schedule:  Schedule{Decay: DecayTotal, Warmup: 0.1, RetrainFactor: 6.67, AdaptFactor: 4},
		Report:    ReportPlan{Paired: []string{}},

		Checkpoint: Checkpoint{Minutes: 10, Keep: 2},
	}
}

// SetDefaults implements config.Section.
func (i *Init) SetDefaults() { i.Family, i.Positions = defaultFamily, 514 }

// defaultFamily is what a base from random weights is where nothing else is asked for.
const defaultFamily = "roberta"

// SetDefaults implements config.Section.
func (s *Synthetic) SetDefaults() {
	*s = Synthetic{Personas: SyntheticPersonas{Retrain: 4, Test: 4}, Dialogues: 12, Turns: 6, Candidates: 20, Vocabulary: 600}
}

// Load reads an experiment file, applies overrides of the form key=value and checks the result. The error names the
// file and line, or the override, that caused it.
func Load(path string, sets []string) (*Config, error) {
	data, err := config.Read(path)
	if err != nil {
		return nil, fmt.Errorf("the experiment: %w", err)
	}
	return Parse(path, data, sets)
}

// Parse is [Load] of a file's content; path is its name in messages, and names the experiment where nothing else does.
func Parse(path string, data []byte, sets []string) (*Config, error) {
	c := Default()
	c.Name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	var err error
	if c.origins, err = config.Parse(path, data, sets, c); err != nil {
		return nil, err
	}
	c.resolve()
	if err := c.check(); err != nil {
		return nil, err
	}
	return c, nil
}

// resolve fills the defaults that hang on other values.
func (c *Config) resolve() {
	d, m := &c.Data, &c.Model
	d.Train, d.Valid = corpus.Locate(d.Train, true), corpus.Locate(d.Valid, false)
	if d.Train != "" && d.TrainPersonas == "" {
		d.TrainPersonas = filepath.Join(filepath.Dir(d.Train), "train_persona_map.json")
	}
	if d.Valid != "" && d.ValidPersonas == "" {
		d.ValidPersonas = filepath.Join(filepath.Dir(d.Valid), "valid_persona_map.json")
	}
	if m.Tokenizer == "" {
		m.Tokenizer = tokenizerOf(m.Path)
	}
	if m.Init != nil && m.Init.Intermediate == 0 {
		m.Init.Intermediate = 4 * m.Init.Hidden
	}
}

// Problem is a usage error about a key's value, with the place where the value was given.
func (c *Config) Problem(key, format string, args ...any) error {
	return c.origins.Problem(key, format, args...)
}

// source is the configuration as it stands in a command.
func (c *Config) source() string { return c.origins.Source() }

// Write writes the experiment with every value, so that [Load] of it gives the same.
func (c *Config) Write(w io.Writer) error { return config.Write(w, c) }

// File is the data file that tasks of the given file name ("train" or "valid") come from, and its persona map.
func (c *Config) File(name string) (dialogues, personas string) {
	if name == FileTrain {
		return c.Data.Train, c.Data.TrainPersonas
	}
	return c.Data.Valid, c.Data.ValidPersonas
}

// OneFile tells whether retraining and test personas come from one file: then the candidates of the retraining turns
// hold replies of test turns, and their distractors are drawn anew.
func (c *Config) OneFile() bool {
	a, b := c.Tasks.Retrain.File, c.Tasks.Test.File
	if a == b {
		return true
	}
	fileA, _ := c.File(a)
	fileB, _ := c.File(b)
	return c.Synthetic == nil && fileA != "" && filepath.Clean(fileA) == filepath.Clean(fileB)
}
