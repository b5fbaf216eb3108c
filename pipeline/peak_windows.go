package pipeline

func resetPeak() {}

// peakBytes is unknown here.
func peakBytes() int64 { return 0 }
