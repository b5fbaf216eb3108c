package linear

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"metalora/pipeline/config"
)

// Config is a linear study, as its YAML file says it: every value has a default, and [Config.Write] writes them all out.
type Config struct {
	Name      string    `yaml:"name"` // default: the file's name without its extension
	Seed      int       `yaml:"seed"`
	Runs      int       `yaml:"runs"`       // draws of data and starts for one truth
	Threads   int       `yaml:"threads"`    // 0: as many as the machine has; changes no number
	Noise     []float64 `yaml:"noise,flow"` // standard deviations; see docs/results/linear for the two readings of sigma
	Start     float64   `yaml:"start"`      // standard deviation of adapters at the start
	Point     Point     `yaml:"point"`      // what stays as it is while one value varies
	Vary      Vary      `yaml:"vary"`
	Retrain   Retrain   `yaml:"retrain"`
	Adapt     AdaptPlan `yaml:"adapt"`
	Recovery  Recovery  `yaml:"recovery"`
	Slope     SlopePlan `yaml:"slope"`
	Landscape Starts    `yaml:"landscape"`

	origins config.Origins
}

// Vary lists the values of each figure.
type Vary struct {
	Dimension    []int `yaml:"dimension,flow"`
	Tasks        []int `yaml:"tasks,flow"`
	Samples      []int `yaml:"samples,flow"`
	AdaptSamples []int `yaml:"adapt_samples,flow"`
	Rank         []int `yaml:"rank,flow"`
}

// AdaptPlan is how a new task is learned.
type AdaptPlan struct {
	Rate        float64   `yaml:"rate"`
	TwoTaskRank int       `yaml:"two_task_rank"` // with two retraining tasks the adapter has so many times the rank k
	Steps       StepsPlan `yaml:"steps"`
}

// StepsPlan is how many steps the figures take.
type StepsPlan struct {
	Dimension    int `yaml:"dimension"`
	Tasks        int `yaml:"tasks"`
	Samples      int `yaml:"samples"`
	AdaptSamples int `yaml:"adapt_samples"`
	Rank         int `yaml:"rank"`
}

// Recovery asks where retraining ends as its samples grow (Theorems 1 and 3).
type Recovery struct {
	Samples []int `yaml:"samples,flow"`
}

// SlopePlan asks how the fine-tuning error shrinks with k d / n.
type SlopePlan struct {
	Dimension []int   `yaml:"dimension,flow"`
	Rank      []int   `yaml:"rank,flow"`
	Samples   []int   `yaml:"samples,flow"`
	Steps     int     `yaml:"steps"`     // at most
	Tolerance float64 `yaml:"tolerance"` // of the gradient's norm
}

// Starts asks where descents from random starts come to rest (Theorems 2 to 4, appendix D.2).
type Starts struct {
	Starts  int     `yaml:"starts"`
	Truths  int     `yaml:"truths"` // the starts are spread over so many draws of U*
	Start   float64 `yaml:"start"`  // standard deviation
	Descent Descent `yaml:"descent"`
	Cases   []Case  `yaml:"cases"`
}

// Case is one shape of landscape.
type Case struct {
	Dimension int `yaml:"dimension" json:"d"`
	Tasks     int `yaml:"tasks" json:"T"`
	Rank      int `yaml:"rank" json:"k"`
}

// Default is the published study with both readings of sigma.
func Default() *Config {
	return &Config{
		Runs:  5,
		Noise: []float64{0.1, 0.01},
		Start: 0.1,
		Point: Point{Dimension: 10, Tasks: 3, Samples: 5000, AdaptSamples: 100, Rank: 1},
		Vary: Vary{Dimension: []int{5, 10, 20}, Tasks: []int{2, 3, 5}, Samples: []int{100, 1000, 10000},
			AdaptSamples: []int{100, 1000, 10000}, Rank: []int{1, 2, 3}},
		Retrain: Retrain{Steps: 3000, InnerSteps: 10, Rate: 0.03, InnerRate: 0.003},
		Adapt: AdaptPlan{Rate: 0.005, TwoTaskRank: 3,
			Steps: StepsPlan{Dimension: 1400, Tasks: 10000, Samples: 1000, AdaptSamples: 1000, Rank: 10000}},
		Recovery: Recovery{Samples: []int{100, 1000, 10000, 100000}},
		Slope:    SlopePlan{Dimension: []int{10, 15, 20}, Rank: []int{1, 2, 3}, Samples: []int{200, 600, 2000, 6000, 20000}, Steps: 20000, Tolerance: 1e-9},
		Landscape: Starts{Starts: 1000, Truths: 20, Start: 1, Descent: Descent{Rate: 0.5, Steps: 400000, Tolerance: 1e-8},
			Cases: []Case{{10, 2, 1}, {10, 2, 2}, {10, 3, 1}, {10, 3, 2}, {10, 5, 1}, {5, 3, 1}, {3, 3, 1}, {2, 5, 1}}},
	}
}

// Load reads a study's file, applies overrides of the form key=value and checks the result. The error names the file and
// line, or the override, that caused it.
func Load(path string, sets []string) (*Config, error) {
	data, err := config.Read(path)
	if err != nil {
		return nil, fmt.Errorf("the linear study: %w", err)
	}
	return Parse(path, data, sets)
}

// Parse is [Load] of a file's content; path is its name in messages, and names the study where nothing else does.
func Parse(path string, data []byte, sets []string) (*Config, error) {
	c := Default()
	c.Name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	var err error
	if c.origins, err = config.Parse(path, data, sets, c); err != nil {
		return nil, err
	}
	if err := c.origins.Check(c.rules()); err != nil {
		return nil, err
	}
	return c, nil
}

// Write writes the study with every value, so that [Load] of it gives the same.
func (c *Config) Write(w io.Writer) error { return config.Write(w, c) }

func (c *Config) rules() []config.Rule {
	p, a := c.Point, c.Adapt
	rules := []config.Rule{
		config.Require("name", c.Name != "", "there is no name"),
		config.AtLeast("seed", c.Seed, 0),
		config.AtLeast("runs", c.Runs, 1),
		config.AtLeast("threads", c.Threads, 0),
		config.Distinct("noise", c.Noise),
		config.Positive("start", c.Start),
		config.AtLeast("retrain.steps", c.Retrain.Steps, 1),
		config.AtLeast("retrain.inner_steps", c.Retrain.InnerSteps, 1),
		config.Positive("retrain.rate", c.Retrain.Rate),
		config.Positive("retrain.inner_rate", c.Retrain.InnerRate),
		config.Positive("adapt.rate", a.Rate),
		config.AtLeast("adapt.two_task_rank", a.TwoTaskRank, 1),
		config.AtLeast("slope.steps", c.Slope.Steps, 1),
		config.Positive("slope.tolerance", c.Slope.Tolerance),
	}
	for _, noise := range c.Noise {
		rules = append(rules, config.Positive("noise", noise))
	}
	for _, f := range figures {
		rules = append(rules, config.AtLeast("adapt.steps."+f.key, f.steps(c), 1))
	}
	rules = slices.Concat(rules, c.listRules(), c.landscapeRules())
	rules = append(rules, pointRules("point", p)...)
	for _, f := range figures {
		for _, at := range f.points(c) {
			rules = append(rules, config.Require("vary."+f.key, at.Rank <= at.Dimension, fmt.Sprintf("rank %d is above the dimension %d", at.Rank, at.Dimension)))
		}
	}
	return rules
}

// listRules asks of each list that it has values, each once and none impossible.
func (c *Config) listRules() []config.Rule {
	var rules []config.Rule
	for _, l := range []struct {
		key    string
		values []int
		least  int
	}{
		{"vary.dimension", c.Vary.Dimension, 1},
		{"vary.tasks", c.Vary.Tasks, 2},
		{"vary.samples", c.Vary.Samples, 2},
		{"vary.adapt_samples", c.Vary.AdaptSamples, 2},
		{"vary.rank", c.Vary.Rank, 1},
		{"recovery.samples", c.Recovery.Samples, 2},
		{"slope.dimension", c.Slope.Dimension, 1},
		{"slope.rank", c.Slope.Rank, 1},
		{"slope.samples", c.Slope.Samples, 2},
	} {
		rules = append(rules, config.Distinct(l.key, l.values))
		for _, v := range l.values {
			rules = append(rules, config.AtLeast(l.key, v, l.least))
		}
	}
	for _, noisy := range []struct {
		key    string
		values []int
	}{{"recovery.samples", c.Recovery.Samples}, {"slope.samples", c.Slope.Samples}} {
		rules = append(rules, config.Require(noisy.key, len(noisy.values) > 1, "a slope needs two values at least"))
	}
	return rules
}

func (c *Config) landscapeRules() []config.Rule {
	l := c.Landscape
	rules := []config.Rule{
		config.AtLeast("landscape.truths", l.Truths, 1),
		config.AtLeast("landscape.starts", l.Starts, l.Truths),
		config.Positive("landscape.start", l.Start),
		config.Positive("landscape.descent.rate", l.Descent.Rate),
		config.AtLeast("landscape.descent.steps", l.Descent.Steps, 1),
		config.Positive("landscape.descent.tolerance", l.Descent.Tolerance),
		config.Distinct("landscape.cases", l.Cases),
	}
	for _, x := range l.Cases {
		rules = append(rules, pointRules("landscape.cases", Point{x.Dimension, x.Tasks, 2, 2, x.Rank})...)
	}
	return rules
}

func pointRules(key string, p Point) []config.Rule {
	return []config.Rule{
		config.AtLeast(key+".dimension", p.Dimension, 1),
		config.AtLeast(key+".tasks", p.Tasks, 2),
		config.AtLeast(key+".samples", p.Samples, 2),
		config.AtLeast(key+".adapt_samples", p.AdaptSamples, 2),
		config.AtLeast(key+".rank", p.Rank, 1),
		config.Require(key+".rank", p.Rank <= p.Dimension, fmt.Sprintf("%d is above the dimension %d", p.Rank, p.Dimension)),
	}
}
