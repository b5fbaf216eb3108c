package tokenize

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const unigramFolder = "testdata/unigram"

// unigramText is the tokenizer.json of testdata; change alters it first.
func unigramText(t testing.TB, change func(file, model map[string]any)) string {
	t.Helper()
	data, err := os.ReadFile(unigramFolder + "/" + tokenizerJSON)
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(file, file["model"].(map[string]any))
	}
	return string(encodeJSON(file))
}

// TestUnigram compares ids with Hugging Face's on hard strings, by a small vocabulary of SentencePiece's with a map of
// characters, in XLM-R's form. testdata/unigram/make.py made both.
func TestUnigram(t *testing.T) {
	tok, err := Load(unigramFolder)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time from the cache
		for _, row := range jsonLines[encoded](t, unigramFolder+"/hard.jsonl") {
			if diff := cmp.Diff(row.IDs, tok.Encode(row.Text)); diff != "" && len(row.IDs)+len(tok.Encode(row.Text)) > 0 {
				t.Errorf("Encode(%+q) (-Hugging Face +ours):\n%s", row.Text, diff)
			}
		}
	}
	ids, types := tok.Pair("i am", "you")
	want := slices.Concat([]int{0}, tok.Encode("i am"), []int{2, 0}, tok.Encode("you"), []int{2})
	if diff := cmp.Diff(want, ids); diff != "" || slices.Max(types) != 0 {
		t.Errorf("segments %v, ids %s", types, diff)
	}
	if tok.PadID() != 1 || tok.Decode(tok.Encode("you are")) != "you are" {
		t.Errorf("pad %d, decoded %q", tok.PadID(), tok.Decode(tok.Encode("you are")))
	}
}

func TestUnigramErrors(t *testing.T) {
	model := func(key string, value any) map[string]string {
		return map[string]string{tokenizerJSON: unigramText(t, func(_, model map[string]any) { model[key] = value })}
	}
	file := func(key string, value any) map[string]string {
		return map[string]string{tokenizerJSON: unigramText(t, func(file, _ map[string]any) { file[key] = value })}
	}
	chars := func(data string) map[string]string {
		return file("normalizer", map[string]any{"type": "Precompiled", "precompiled_charsmap": base64.StdEncoding.EncodeToString([]byte(data))})
	}
	special := func(id int, text string, is bool) map[string]string {
		return file("added_tokens", []any{map[string]any{"id": id, "content": text, "special": is}})
	}
	checkLoadErrors(t, map[string]loadError{
		"bytes":              {model("byte_fallback", true), "model.byte_fallback is not supported"},
		"no unknown":         {model("unk_id", nil), "model.unk_id is missing"},
		"unknown outside":    {model("unk_id", 1<<40), "unk_id 1099511627776 is none of the"},
		"a piece twice":      {model("vocab", []any{[]any{"<s>", 0}, []any{"a", -1}, []any{"a", -2}, []any{"<unk>", 0}}), `piece 2, "a", is empty or the same as piece 1`},
		"an empty piece":     {model("vocab", []any{[]any{"", 0}}), "unk_id 3 is none"},
		"a long piece":       {model("vocab", []any{[]any{"a", 0}, []any{"b", 0}, []any{"c", 0}, []any{strings.Repeat("x", 600), 0}}), "has 600 bytes, want at most 512"},
		"a piece of three":   {model("vocab", []any{[]any{"a", 0, 1}}), "is no piece with its score"},
		"a score of text":    {model("vocab", []any{[]any{"a", "b"}}), "is no piece with its score"},
		"a huge score":       {model("vocab", []any{[]any{"a", 0}, []any{"b", 0}, []any{"c", 0}, []any{"d", 1e300}}), "score 1e+300 is no logarithm"},
		"other words":        {file("pre_tokenizer", map[string]any{"type": "Metaspace", "replacement": "▁"}), `is not supported: Unigram only with WhitespaceSplit and Metaspace`},
		"another normalizer": {file("normalizer", map[string]any{"type": "NFKC"}), `normalizer {"type":"NFKC"} is not supported`},
		"no base64":          {file("normalizer", map[string]any{"type": "Precompiled", "precompiled_charsmap": "!"}), "normalizer.precompiled_charsmap: illegal base64"},
		"a map of nothing":   {chars(""), "it ends before its first number"},
		"a map that lies":    {chars("\x08\x00\x00\x00abcd"), "is not the length of an array"},
		"no text in a map":   {chars("\x04\x00\x00\x00abcd\xff"), "its replacements are no UTF-8"},
		"an added word":      {special(900, "hey", false), `"hey" is not a special token`},
		"another added id":   {special(9, "<s>", true), `"<s>" has the id 9, in model.vocab it is 0`},
		"a shared added id":  {special(5, "<x>", true), "share the id 5"},
		"a huge added id":    {special(1<<40, "<x>", true), `token "<x>": id 1099511627776 is outside`},
		"no <s>":             {map[string]string{tokenizerJSON: unigramText(t, nil), specialFile: `{"cls_token":"<x>"}`}, `special token "<x>" is not in the vocabulary`},
	})
}

// FuzzCharsMap looks for a panic in maps that lie about where their units and replacements are.
func FuzzCharsMap(f *testing.F) {
	f.Add("\x04\x00\x00\x00\x00\x00\x00\x00", "abc")
	f.Add("\x08\x00\x00\x00\x00\x01\x00\x00\xff\xff\xff\x7fabc\x00", "a\u0301b")
	f.Add(strings.Repeat("\x04\x00\x00\x00", 80), "é")
	f.Fuzz(func(t *testing.T, data, text string) {
		m, err := parseCharsMap(base64.StdEncoding.EncodeToString([]byte(data)))
		if err != nil || len(text) > 1<<10 || len(m.replacements) > 1<<10 {
			return
		}
		if got := m.normalise(wellFormed(text)); len(got) > len(text)*(1+len(m.replacements))*3 {
			t.Errorf("%d bytes became %d", len(text), len(got))
		}
	})
}
