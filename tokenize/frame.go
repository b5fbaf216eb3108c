package tokenize

// frame is how special tokens stand around texts. RoBERTa's experiment gives each text its own, `<s> a </s><s> b </s>`, as
// the published code does. BERT was trained on `[CLS] a [SEP] b [SEP]`, where b and what follows are of segment 1: its
// pairs keep that form, since the second [CLS] would be as new to it as a second segment 0.
type frame struct {
	start, end int  // the ids of <s> and </s>, or of [CLS] and [SEP]
	segments   bool // BERT's form
}

// row puts texts' ids between special tokens.
func (f frame) row(texts ...[]int) []int {
	length := 0
	for _, ids := range texts {
		length += len(ids) + 2
	}
	row := make([]int, 0, length)
	for i, ids := range texts {
		if i == 0 || !f.segments {
			row = append(row, f.start)
		}
		row = append(row, ids...)
		row = append(row, f.end)
	}
	return row
}

// tokens is how many special tokens a pair has.
func (f frame) tokens() int {
	if f.segments {
		return 3
	}
	return 4
}

// second is where segment 1 begins in the row of a pair of so many tokens, whose first text is given: at the row's end
// where all of it is segment 0.
func (f frame) second(first []int, length int) int {
	if f.segments {
		return len(first) + 2
	}
	return length
}
