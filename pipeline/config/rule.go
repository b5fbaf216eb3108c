package config

import (
	"fmt"
	"slices"
)

// Rule is one thing that settings have to fulfil.
type Rule struct {
	Key     string
	Holds   bool
	Problem string
}

// AtLeast asks for a number that is not below another.
func AtLeast[T int | float64](key string, value, least T) Rule {
	return Rule{key, value >= least, fmt.Sprintf("%v is not possible: it has to be %v or more", value, least)}
}

// Positive asks for a number above 0.
func Positive(key string, value float64) Rule {
	return Rule{key, value > 0, fmt.Sprintf("%v is not possible: it has to be above 0", value)}
}

// Share asks for a number from 0 up to, but not including, 1.
func Share(key string, value float64) Rule {
	return Rule{key, value >= 0 && value < 1, fmt.Sprintf("%v is not possible: it has to be at least 0 and below 1", value)}
}

// OneOf asks for one of the valid names.
func OneOf(key, value string, valid ...string) Rule {
	return Rule{key, slices.Contains(valid, value), fmt.Sprintf("%q is not possible%s", value, Suggest(value, valid))}
}

// Distinct asks for a list that has something in it, and nothing twice.
func Distinct[T comparable](key string, list []T) Rule {
	if len(list) == 0 {
		return Rule{key, false, "the list is empty: there is nothing to do"}
	}
	for i, x := range list {
		if slices.Contains(list[:i], x) {
			return Rule{key, false, fmt.Sprintf("%v is there twice", x)}
		}
	}
	return Rule{Key: key, Holds: true}
}

// Require is a rule by what it says.
func Require(key string, holds bool, problem string) Rule { return Rule{key, holds, problem} }
