package convai2

import (
	"slices"
	"strings"
)

// expansions undo contractions, in this order (source: reference/README.md, "tasks.json"). The persona maps were made
// from an older spelling of the data that has none.
var expansions = [][2]string{
	{"won't", "will not"}, {"can't", "cannot"}, {"n't", " not"}, {"'m", " am"}, {"'re", " are"},
	{"'ve", " have"}, {"'ll", " will"}, {"'d", " would"}, {"'s", " is"}, {"can not", "cannot"},
}

// Normalise spells a persona sentence as the maps do: lower case, contractions expanded, every run of characters outside
// a-z and 0-9 one blank, trimmed.
func Normalise(sentence string) string {
	sentence = strings.ToLower(sentence)
	for _, e := range expansions {
		sentence = strings.ReplaceAll(sentence, e[0], e[1])
	}
	words := strings.FieldsFunc(sentence, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	return strings.Join(words, " ")
}

// literal spells a sentence as the published code compares it: cut at its own first colon (the line's second) and without
// its last character, which is the full stop in ConvAI2.
func literal(sentence string) string {
	sentence, _, _ = strings.Cut(sentence, ":")
	sentence = strings.TrimSpace(sentence)
	if sentence == "" {
		return ""
	}
	runes := []rune(sentence)
	return strings.TrimSpace(string(runes[:len(runes)-1]))
}

// sentenceSet is the sorted set of the sentences as spell gives them.
func sentenceSet(sentences []string, spell func(string) string) []string {
	set := make([]string, len(sentences))
	for i, s := range sentences {
		set[i] = spell(s)
	}
	slices.Sort(set)
	return slices.Compact(set)
}

// setKey makes a set a map key. Sentences hold no line break.
func setKey(set []string) string { return strings.Join(set, "\n") }
