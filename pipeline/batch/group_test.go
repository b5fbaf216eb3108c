package batch

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/pipeline"
)

func TestRanges(t *testing.T) {
	for want, in := range map[string][]int{"": nil, "4": {4}, "0-2": {0, 1, 2}, "0,2-3,9": {0, 2, 3, 9}} {
		if got := Ranges(in); got != want {
			t.Errorf("%v: %q, want %q", in, got, want)
		}
	}
}

// units are two retrainings and three adaptations of each.
func units() []*pipeline.Unit {
	all := []*pipeline.Unit{{ID: "a", Kind: pipeline.KindRetrain}, {ID: "b", Kind: pipeline.KindRetrain}}
	for _, base := range []string{"a", "b"} {
		for range 3 {
			all = append(all, &pipeline.Unit{ID: base + "x", Kind: pipeline.KindAdapt, Needs: []string{base}})
		}
	}
	for i, u := range all {
		u.Index = i
	}
	return all
}

func TestGroups(t *testing.T) {
	all := units()
	for name, c := range map[string]struct {
		pending []*pipeline.Unit
		want    []Group
	}{
		"all":                    {all, []Group{{"retrain", []int{0, 1}, nil}, {"adapt", []int{2, 3, 4}, []int{0}}, {"adapt", []int{5, 6, 7}, []int{1}}}},
		"one retraining is done": {all[1:], []Group{{"retrain", []int{1}, nil}, {"adapt", []int{2, 3, 4}, nil}, {"adapt", []int{5, 6, 7}, []int{1}}}},
		"both are":               {all[3:], []Group{{"adapt", []int{3, 4, 5, 6, 7}, nil}}},
		"nothing":                {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, Groups(c.pending)); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestArrays keeps positions of long plans within an array's bounds, and dependencies at the tasks that they mean.
func TestArrays(t *testing.T) {
	long := make([]int, 1500)
	for i := range long {
		long[i] = 1002 + i
	}
	arrays := Arrays([]Group{{"retrain", []int{998, 999, 1000, 1001}, nil}, {"adapt", long, []int{999, 1001}}})
	type shape struct {
		First, Last, Offset int
		After               []task
	}
	var got []shape
	for _, a := range arrays {
		got = append(got, shape{a.Units[0], a.Units[len(a.Units)-1], a.offset, a.after})
	}
	after := []task{{0, 999}, {1, 1}}
	want := []shape{{998, 999, 0, nil}, {1000, 1001, 1000, nil}, {1002, 1999, 1000, after}, {2000, 2501, 2000, after}}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(task{})); d != "" {
		t.Error(d)
	}
}
