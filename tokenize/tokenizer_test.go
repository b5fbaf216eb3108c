package tokenize

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/sugarme/tokenizer"
)

// pipelineIDs gives a text whole to the library, without cache.
func pipelineIDs(t testing.TB, tok *Tokenizer, text string) []int {
	t.Helper()
	encoding, err := pairsOf(t, tok).pipeline.EncodeSingleSequence(tokenizer.NewInputSequence(text), 0, tokenizer.Byte)
	if err != nil {
		t.Fatal(err)
	}
	return append([]int{}, encoding.Ids...)
}

func TestSizeAndPad(t *testing.T) {
	tok := roberta(t)
	if tok.Size() != 50265 || tok.PadID() != 1 {
		t.Errorf("Size %d, PadID %d; want 50265 and 1", tok.Size(), tok.PadID())
	}
	if pairsOf(t, tok).model.GetVocabSize() != 50265 || len(pairsOf(t, tok).model.GetVocab()) != 50265 {
		t.Errorf("the library sees %d tokens", pairsOf(t, tok).model.GetVocabSize())
	}
}

// TestOffsets: the library's offsets are bytes of the text it was given.
func TestOffsets(t *testing.T) {
	const text = "hé, 1000 \u00a0ooooh\n"
	encoding, err := pairsOf(t, roberta(t)).pipeline.EncodeSingleSequence(tokenizer.NewInputSequence(text), 0, tokenizer.Byte)
	if err != nil {
		t.Fatal(err)
	}
	for i, at := range encoding.Offsets {
		if got := text[at[0]:at[1]]; letters(got) != encoding.Tokens[i] {
			t.Errorf("token %d %q lies at %q", i, encoding.Tokens[i], got)
		}
	}
}

// TestLongWords: a word's time and memory grow with n log n. Quadratic work on a megabyte would run into the test's limit.
func TestLongWords(t *testing.T) {
	tok := roberta(t)
	const size = 1 << 20
	for name, text := range map[string]string{
		"one letter":   strings.Repeat("a", size),
		"one digit":    strings.Repeat("0", size),
		"blanks":       strings.Repeat(" ", size),
		"blanks, word": strings.Repeat("\t", size) + "x",
		"apostrophes":  strings.Repeat("'", size),
		"words":        strings.Repeat("ab ", size/3),
		"no UTF-8":     strings.Repeat("\xff", size/3),
	} {
		t.Run(name, func(t *testing.T) {
			if ids := tok.Encode(text); tok.Decode(ids) != wellFormed(text) {
				t.Error("the text does not come back")
			}
		})
	}
}

func TestConcurrentUse(t *testing.T) {
	tok := roberta(t)
	rows := jsonLines[encoded](t, "testdata/hard.jsonl")
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for _, row := range rows {
				if !cmp.Equal(row.IDs, tok.Encode(row.Text)) {
					t.Errorf("Encode(%+q) differs", row.Text)
				}
			}
		})
	}
	group.Wait()
}

// TestCacheIsBounded: more words than the cache holds do not fill it, and long words do not enter it.
func TestCacheIsBounded(t *testing.T) {
	var c cache
	for i := range 2*cacheWords + 10 {
		c.put(fmt.Sprint(i), []int{i})
	}
	if len(c.ids) > cacheWords {
		t.Errorf("%d words are kept", len(c.ids))
	}
	if ids, ok := c.get(fmt.Sprint(2*cacheWords + 9)); !ok || ids[0] != 2*cacheWords+9 {
		t.Errorf("the newest word is %v, %v", ids, ok)
	}
	tok := roberta(t)
	tok.Encode(strings.Repeat("x", longWord) + " " + strings.Repeat("x", longWord))
	if _, ok := pairsOf(t, tok).known.get(strings.Repeat("x", longWord)); !ok || len(pairsOf(t, tok).known.ids) != 1 {
		t.Errorf("%d words are kept, want the one of %d bytes", len(pairsOf(t, tok).known.ids), longWord)
	}
}

// TestIDsAreTheCallers: changing what Encode gave must not change what it gives next.
func TestIDsAreTheCallers(t *testing.T) {
	tok := roberta(t)
	want := tok.Encode("hello")
	tok.Encode("hello")[0] = -1
	if diff := cmp.Diff(want, tok.Encode("hello")); diff != "" {
		t.Error(diff)
	}
}

func TestDecode(t *testing.T) {
	tok := roberta(t)
	for name, c := range map[string]struct {
		ids  []int
		want string
	}{
		"nothing":             {nil, ""},
		"special tokens":      {tok.Single("hi"), "<s>hi</s>"},
		"mask":                {[]int{50264}, "<mask>"},
		"unknown ids":         {[]int{-1, 118, 50265, 1 << 40}, "i"},
		"half a character":    {tok.Encode("😀")[:1], "\uFFFD"},
		"special text":        {tok.Encode("a <s> <mask></s>"), "a <s> <mask></s>"},
		"replaced characters": {tok.Encode("a\xffb"), "a\uFFFDb"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tok.Decode(c.ids); got != c.want {
				t.Errorf("got %+q, want %+q", got, c.want)
			}
		})
	}
}

// TestWellFormed's right sides are Python's bytes.decode("utf-8", "replace").
func TestWellFormed(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "",
		"é\uFFFD😀":                 "é\uFFFD😀",
		"\xe2\x82":                 "\uFFFD",
		"\xe2\x82a":                "\uFFFDa",
		"\xff\xfe":                 "\uFFFD\uFFFD",
		"\xf0\x9f\x98":             "\uFFFD",
		"\xf0\x9f\x98\x80\x80":     "😀\uFFFD",
		"\xc0\xaf":                 "\uFFFD\uFFFD",
		"\xed\xa0\x80":             "\uFFFD\uFFFD\uFFFD",
		"a\xe0\x80b":               "a\uFFFD\uFFFDb",
		"\xf5\x80\x80\x80":         "\uFFFD\uFFFD\uFFFD\uFFFD",
		"\xf4\x90\x80":             "\uFFFD\uFFFD\uFFFD",
		"\xe1\xe2\x82\xac":         "\uFFFD€",
		"\xf1\x80\x80\xc3\xa9":     "\uFFFDé",
		"\xf0\x80\x80\xf0\x90\x80": "\uFFFD\uFFFD\uFFFD\uFFFD",
	} {
		if got := wellFormed(in); got != want {
			t.Errorf("%q: got %+q, want %+q", in, got, want)
		}
	}
}

// TestWords' right sides follow from GPT-2's pattern, alternative by alternative.
func TestWords(t *testing.T) {
	for text, want := range map[string][]string{
		"a b":             {"a", " b"},
		"a  b":            {"a", " ", " b"},
		"a \tb":           {"a", " ", "\t", "b"},
		"a\t b":           {"a", "\t", " b"},
		"a\n\nb":          {"a", "\n", "\n", "b"},
		"a  ":             {"a", "  "},
		" ":               {" "},
		"  ":              {"  "},
		"\u00a0a":         {"\u00a0", "a"},
		"\u3000\u3000 a":  {"\u3000\u3000", " a"},
		"\u200ba":         {"\u200b", "a"},
		"we'll'LL":        {"we", "'ll", "'", "LL"},
		"'rest":           {"'re", "st"},
		" 's":             {" '", "s"},
		"1a½²,.":          {"1", "a", "½²", ",."},
		"e\u0301":         {"e", "\u0301"},
		"hi !?\n":         {"hi", " !?", "\n"},
		"\x00\x00 \x00":   {"\x00\x00", " \x00"},
		"a\v\f\r\u0085 b": {"a", "\v\f\r\u0085", " b"},
	} {
		var got []string
		for word := range words(text) {
			got = append(got, word)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%+q (-want +got):\n%s", text, diff)
		}
	}
}

// TestClasses compares every character's class with Hugging Face's: testdata/classes.txt has a line for each run of
// characters, its first and whether it is blank, letter, number, other or surrogate. tokenizers 0.22.2 gave them, by
// whether its ByteLevel pre-tokenizer joins the character with "a", "1", "." or a blank.
func TestClasses(t *testing.T) {
	data, err := os.ReadFile("testdata/classes.txt")
	if err != nil {
		t.Fatal(err)
	}
	next, want, name := strings.Fields(string(data)), "", [...]string{blank: "b", letter: "l", number: "n", other: "o"}
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if len(next) > 0 && fmt.Sprintf("%X", r) == next[0] {
			want, next = next[1], next[2:]
		}
		// A Go that knows a newer Unicode sees letters where there was nothing.
		newer := want == "o" && unicode.Version != "15.0.0"
		if got := name[classOf(r)]; got != want && want != "s" && !newer {
			t.Errorf("%U is %s, want %s", r, got, want)
		}
	}
	if len(next) > 0 {
		t.Errorf("testdata/classes.txt is not in order from %s", next[0])
	}
}

// naiveIDs merges by the definition: again and again the left-most pair of lowest rank.
func naiveIDs(m *model, word string) (ids []int) {
	for i := range len(word) {
		ids = append(ids, int(m.letterIDs[word[i]]))
	}
	for {
		best, at := merge{rank: 1 << 30}, -1
		for i := range len(ids) - 1 {
			if found, ok := m.merges[pair{int32(ids[i]), int32(ids[i+1])}]; ok && found.rank < best.rank {
				best, at = found, i
			}
		}
		if at < 0 {
			return ids
		}
		ids = append(append(ids[:at:at], int(best.id)), ids[at+2:]...)
	}
}

// TestMergeOrder compares the queue with the definition on words full of ties.
func TestMergeOrder(t *testing.T) {
	m := pairsOf(t, roberta(t)).model
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 3000 {
		word := make([]byte, 1+i%longWord)
		for j := range word {
			word[j] = "aaaoh0019eltn"[r.IntN(13)]
		}
		if diff := cmp.Diff(naiveIDs(m, string(word)), m.ids(letters(string(word)))); diff != "" {
			t.Fatalf("%q (-definition +queue):\n%s", word, diff)
		}
	}
}

func FuzzEncode(f *testing.F) {
	for _, text := range []string{"", " hi  there\u00a0\n", "i'm 1000% s\u00fcre\x00", "\xff\xe2\x82", "<s> ooooh </s>"} {
		f.Add(text)
	}
	tok := roberta(f)
	f.Fuzz(func(t *testing.T, text string) {
		ids := tok.Encode(text)
		if back := tok.Decode(ids); back != wellFormed(text) || utf8.ValidString(text) && back != text {
			t.Errorf("%+q comes back as %+q", text, back)
		}
		if diff := cmp.Diff(pipelineIDs(t, tok, wellFormed(text)), ids); diff != "" {
			t.Errorf("%+q (-library +cached words):\n%s", text, diff)
		}
		for _, id := range ids {
			if id < 4 || id >= tok.Size()-1 {
				t.Errorf("%+q: id %d is a special token's", text, id)
			}
		}
	})
}
