package convai2

import (
	"strings"
	"testing"
)

// TestReferenceSamples compares contexts, candidates and gold with samples.jsonl: from the excerpt, whose dialogues have
// other indices, and from the whole file.
func TestReferenceSamples(t *testing.T) {
	want := readSamples(t, "testdata/reference_samples.jsonl")
	t.Run("excerpt", func(t *testing.T) {
		places := map[int]int{}
		for _, i := range []int{13, 14, 33, 51, 58, 758, 867, 884, 929, 956} {
			places[i] = len(places)
		}
		compareSamples(t, readPacked(t, "valid_excerpt.txt.gz"), want, places)
	})
	t.Run("whole file", func(t *testing.T) {
		places := map[int]int{}
		for i := range 1000 {
			places[i] = i
		}
		compareSamples(t, readShared(t, "valid_self_original.txt"), want, places)
	})
}

func compareSamples(t *testing.T, ds []*Dialogue, want []referenceSample, places map[int]int) {
	equal(t, len(want), 20)
	for _, w := range want {
		got, err := Samples(ds[places[w.Dialogue]])
		if err != nil {
			t.Fatal(err)
		}
		w.Dialogue = places[w.Dialogue]
		equal(t, got[w.Turn], w.Sample)
	}
}

func TestSamples(t *testing.T) {
	ds := parse(t, "1 a\tb\n1 "+Silence+"\tb\t\tb|c|b|d\n2 e\tf\n3 g\th\t\th|i\n")
	none, err := Samples(ds[0])
	if err != nil {
		t.Fatal(err)
	}
	equal(t, len(none), 0)
	got, err := SamplesJoined(ds[1], " / ")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, got, []Sample{
		{1, 0, Silence, []string{"b", "c", "b", "d"}, 2},
		{1, 2, Silence + " / b / e / f / g", []string{"h", "i"}, 0},
	})
	if got, err = Samples(ds[1]); err != nil {
		t.Fatal(err)
	}
	equal(t, got[1].Context, Silence+"befg")
	ds[1].Turns[2].Self = strings.Repeat("z", 50)
	_, err = Samples(ds[1])
	wantError(t, err, `making samples: test:4: reply "`+strings.Repeat("z", 40)+`"… is not among the 2 candidates`)
}
