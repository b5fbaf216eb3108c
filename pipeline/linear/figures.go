package linear

// figure is one of the paper's figures: what varies in it, its values, and how long a new task is learned.
type figure struct {
	key    string // in the settings
	name   string // in formulas
	title  string // in words
	values func(*Config) []int
	set    func(*Point, int)
	steps  func(*Config) int
}

// figures are the paper's five, in its order.
var figures = []figure{
	{"dimension", "d", "dimension d",
		func(c *Config) []int { return c.Vary.Dimension },
		func(p *Point, v int) { p.Dimension = v },
		func(c *Config) int { return c.Adapt.Steps.Dimension }},
	{"tasks", "T", "retraining tasks T",
		func(c *Config) []int { return c.Vary.Tasks },
		func(p *Point, v int) { p.Tasks = v },
		func(c *Config) int { return c.Adapt.Steps.Tasks }},
	{"samples", "N", "retraining samples N of a task",
		func(c *Config) []int { return c.Vary.Samples },
		func(p *Point, v int) { p.Samples = v },
		func(c *Config) int { return c.Adapt.Steps.Samples }},
	{"adapt_samples", "N'", "samples N' of the new task",
		func(c *Config) []int { return c.Vary.AdaptSamples },
		func(p *Point, v int) { p.AdaptSamples = v },
		func(c *Config) int { return c.Adapt.Steps.AdaptSamples }},
	{"rank", "k", "rank k",
		func(c *Config) []int { return c.Vary.Rank },
		func(p *Point, v int) { p.Rank = v },
		func(c *Config) int { return c.Adapt.Steps.Rank }},
}

// points are the settings of a figure.
func (f figure) points(c *Config) []Point {
	var points []Point
	for _, v := range f.values(c) {
		p := c.Point
		f.set(&p, v)
		points = append(points, p)
	}
	return points
}
