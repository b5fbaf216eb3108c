package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"

	"metalora/pipeline/fault"
)

// Kind is what a unit does.
type Kind string

// The kinds of unit.
const (
	KindRetrain Kind = "retrain" // base -> retrained base, on all retraining tasks
	KindAdapt   Kind = "adapt"   // retrained base -> adapter and scores, on one test task
)

// resultsFormat is part of every unit's identity: it grows when the same settings would give other results or other files.
const resultsFormat = 3

// Unit is one piece of an experiment: a pure function of its settings and of the units it needs. It writes one folder,
// whole or not at all, whose name is the unit's ID.
type Unit struct {
	Index  int      // position in the plan, from 0
	ID     string   // kind and a hash of everything that the result depends on
	Kind   Kind     //
	Label  string   // for people: "adapt meta-lora-8 → lora-8 task 3 seed 0"
	Needs  []string // IDs of units that have to be done before
	Method string   // of the retraining, also in an adapt unit
	Seed   int
	Family string // adapt: the family
	Task   int    // adapt: the test task's rank, from 1
	Fold   int    // adapt: which dialogues are held out, from 0
	Turns  int    // adapt: how many training turns, or AllTurns

	RateFactor float64 // retrain: what the configured learning rates are multiplied by

	// Settings are all values that the result depends on, by their keys in the experiment file. A file counts by its content.
	Settings map[string]any

	// Where the folder keeps the unit; set by [Open].
	Dir      string   // the finished unit
	Work     string   // the running unit: lock and checkpoints; survives an interruption
	NeedDirs []string // the finished units of Needs, in that order
}

// Name is what commands, tables and results call an adapt unit's task.
func (u *Unit) Name() string {
	if u.Kind == KindAdapt {
		return fmt.Sprintf("task %d", u.Task)
	}
	return ""
}

// identity are the settings that tell units of one experiment apart; all others are shared by units of a kind.
var identity = map[string]bool{"method": true, "seed": true, "family": true, "task": true, "fold": true, "needs": true, "turns": true, "rate_factor": true}

// identify derives the ID from the settings: 48 bits of SHA-256 over their JSON, whose keys are sorted.
func (u *Unit) identify() error {
	if len(u.Needs) > 0 {
		u.Settings["needs"] = u.Needs
	}
	u.Settings["format"] = resultsFormat
	data, err := json.Marshal(u.Settings)
	if err != nil {
		return fmt.Errorf("identifying the unit %q: %w", u.Label, err)
	}
	sum := sha256.Sum256(data)
	u.ID = string(u.Kind) + "-" + hex.EncodeToString(sum[:6])
	return nil
}

// Select returns which units of a plan the globs choose: all without a glob. A glob matches a whole ID or a whole
// label; one that matches nothing is an error.
func Select(units []Unit, globs []string) ([]bool, error) {
	chosen := make([]bool, len(units))
	for _, glob := range globs {
		hits := 0
		for i, u := range units {
			byID, err := path.Match(glob, u.ID)
			byLabel, _ := path.Match(glob, u.Label)
			if err != nil {
				return nil, fault.Usage(fmt.Errorf("--only %q: %w", glob, err))
			}
			if byID || byLabel {
				chosen[i] = true
				hits++
			}
		}
		if hits == 0 {
			return nil, fault.Usage(fmt.Errorf("--only %q matches no unit (%s lists them)", glob, "`metalora plan`"))
		}
	}
	if len(globs) == 0 {
		for i := range chosen {
			chosen[i] = true
		}
	}
	return chosen, nil
}
