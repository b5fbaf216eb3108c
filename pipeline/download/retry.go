package download

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// Unreachable marks failures to reach a server or to go on with it: no network, no such host, cut connections.
var Unreachable = errors.New("the network failed")

// persist calls attempt until it succeeds, until it fails in a way that repeats, or until it failed too often in a row
// without getting further. attempt says whether it got further.
func (c *Client) persist(ctx context.Context, attempt func() (further bool, err error)) error {
	failures := 0
	for {
		further, err := attempt()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if further {
			failures = 0
		}
		failures++
		wait, again := c.wait(err, failures)
		if !again {
			return err
		}
		if failures >= cmp.Or(c.Attempts, 5) {
			if status := (*StatusError)(nil); errors.As(err, &status) {
				return err
			}
			return fmt.Errorf("%w, %d times in a row: %w", Unreachable, failures, err)
		}
		if c.Note != nil {
			c.Note(fmt.Sprintf("%v; trying again in %v", err, wait.Round(time.Millisecond)))
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// wait says whether a failed attempt is worth another one, and when.
func (c *Client) wait(err error, failures int) (time.Duration, bool) {
	pause := cmp.Or(c.Pause, time.Second) << (failures - 1)
	if local := (*localError)(nil); errors.As(err, &local) {
		return 0, false
	}
	status := (*StatusError)(nil)
	if !errors.As(err, &status) {
		return pause, true
	}
	if status.RetryAfter > cmp.Or(c.Patience, 2*time.Minute) {
		return 0, false
	}
	return max(pause, status.RetryAfter), status.passing()
}

// localError is a failure of this computer, which no server mends: a full disk, a folder that may not be written.
type localError struct{ error }

func (e *localError) Unwrap() error { return e.error }
