package convai2

import (
	"strings"
	"unicode"
)

// CheckReplies finds candidates that are the real reply without being the gold one: a model would be told that the right
// answer is wrong.
func CheckReplies(tasks []Task) []Violation {
	var found []Violation
	for _, t := range tasks {
		for _, samples := range [][]Sample{t.Train, t.HeldOut} {
			for _, s := range samples {
				for i, c := range s.Candidates {
					if i != s.Gold && c == s.reply() {
						found = append(found, Violation{t.Name, s.Dialogue, s.Turn, "a distractor is the real reply " + quote(c)})
					}
				}
			}
		}
	}
	return found
}

// CheckTurns finds training turns of the tasks that are held-out turns of one of them by what was said, wherever they stand:
// equal context and equal reply. First turns do not count, as people often begin alike.
func CheckTurns(tasks []Task) []Violation {
	type said struct{ context, reply string }
	held := map[said]string{}
	for _, t := range tasks {
		for _, s := range t.HeldOut {
			if s.Turn > 0 {
				held[said{s.Context, s.reply()}] = t.Name
			}
		}
	}
	var found []Violation
	for _, t := range tasks {
		for _, s := range t.Train {
			if other, ok := held[said{s.Context, s.reply()}]; ok && s.Turn > 0 {
				found = append(found, Violation{t.Name, s.Dialogue, s.Turn, "trains on a turn that task " + other + " holds out"})
			}
		}
	}
	return found
}

// openingTurn is the turn, from 0, up to which two dialogues have to agree to be one conversation: five utterances.
const openingTurn = 2

// CheckConversations finds dialogues of retraining tasks that are a test task's by what was said, even from the other
// speaker's side: the official train file has every conversation twice, once for each speaker, and what one replies the
// other hears. Dialogues of fewer than three turns are too short to tell.
func CheckConversations(retrain, test []Task) []Violation {
	heard := map[string]string{}
	for _, t := range test {
		t.openings(func(_ Sample, key string) { heard[key] = t.Name })
	}
	var found []Violation
	for _, t := range retrain {
		last := -1
		t.openings(func(s Sample, key string) {
			if other, ok := heard[key]; ok && s.Dialogue != last {
				last = s.Dialogue
				found = append(found, Violation{t.Name, s.Dialogue, -1, "is a conversation of test task " + other})
			}
		})
	}
	return found
}

// openings calls f with the letters of each dialogue's first utterances: up to the partner's last one, and up to the
// reply to it. Seen from the other side, where silence comes first, the one is the other.
func (t Task) openings(f func(s Sample, key string)) {
	for _, samples := range [][]Sample{t.Train, t.HeldOut} {
		for _, s := range samples {
			if s.Turn == openingTurn {
				f(s, letters(s.Context))
				f(s, letters(s.Context+s.reply()))
			}
		}
	}
}

// letters keeps a text's letters and digits, so that the separator of utterances makes no difference.
func letters(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimPrefix(text, Silence))
}
