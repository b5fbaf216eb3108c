package fault

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

func TestCode(t *testing.T) {
	plain := errors.New("disk full")
	for _, test := range []struct {
		name string
		err  error
		want int
	}{
		{"nothing", nil, 0},
		{"ordinary", plain, 1},
		{"usage", Usage(plain), 2},
		{"input", Input(plain), 3},
		{"numbers", Numbers(plain), 4},
		{"stopped", Stopped, 75},
		{"wrapped by text", fmt.Errorf("reading a: %w", Input(plain)), 3},
		{"the outermost mark counts", Usage(fmt.Errorf("reading a: %w", Input(plain))), 2},
		{"stopped wins over a mark around it", Input(fmt.Errorf("unit 3: %w", Stopped)), 75},
		{"one of several", errors.Join(plain, Numbers(plain)), 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := Code(test.err); got != test.want {
				t.Errorf("Code(%v) = %d, want %d", test.err, got, test.want)
			}
		})
	}
}

func TestMarkKeepsTheError(t *testing.T) {
	err := Input(fmt.Errorf("reading a: %w", fs.ErrNotExist))
	if err.Error() != "reading a: file does not exist" || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %q", err)
	}
	for _, mark := range []func(error) error{Usage, Input, Numbers} {
		if mark(nil) != nil {
			t.Error("a mark on nil is not nil")
		}
	}
}
