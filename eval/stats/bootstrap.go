package stats

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"metalora/pipeline/rng"
)

// Cluster is a number of turns that stand or fall together: those of one dialogue.
type Cluster struct {
	Correct float64 // turns answered rightly, a part of a turn for a tie or a mean over seeds
	Turns   float64
}

// Bootstrap is the percentile interval of the mean over strata (tasks) of each stratum's share of correct turns, when whole
// clusters (dialogues) are drawn with replacement inside each stratum. Turns of one dialogue share their context, so
// drawing turns would make the interval too narrow. Of n clusters n-1 are drawn: with the two or three dialogues of a task, n
// would understate the variance by (n-1)/n (Rao and Wu, "Resampling inference with complex survey data", 1988; their weights
// cancel in a share). NaN where no stratum has two clusters: there is nothing to draw from.
func Bootstrap(strata [][]Cluster, level float64, resamples int, s *rng.Stream) Interval {
	if !drawable(strata) || resamples < 1 {
		return Interval{math.NaN(), math.NaN()}
	}
	means := make([]float64, resamples)
	for i := range means {
		total := 0.0
		for _, clusters := range strata {
			total += resample(clusters, s)
		}
		means[i] = total / float64(len(strata))
	}
	slices.Sort(means)
	tail := (1 - level) / 2
	return Interval{stat.Quantile(tail, stat.Empirical, means, nil), stat.Quantile(1-tail, stat.Empirical, means, nil)}
}

// drawable says whether drawing can change anything and every stratum has a share.
func drawable(strata [][]Cluster) bool {
	several := false
	for _, clusters := range strata {
		for _, c := range clusters {
			if !(c.Turns > 0) {
				return false
			}
		}
		if len(clusters) == 0 {
			return false
		}
		several = several || len(clusters) > 1
	}
	return several
}

func resample(clusters []Cluster, s *rng.Stream) float64 {
	correct, turns := 0.0, 0.0
	for range max(1, len(clusters)-1) {
		c := clusters[s.IntN(len(clusters))]
		correct += c.Correct
		turns += c.Turns
	}
	return correct / turns
}
