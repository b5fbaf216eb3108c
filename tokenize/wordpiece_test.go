package tokenize

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"metalora/models/safetensors"

	"github.com/google/go-cmp/cmp"
)

// pieceTokens are a small vocabulary of WordPiece.
var pieceTokens = []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "un", "##aff", "##able", "##ab", "able", "cafe", "café", "Cafe", ".", "東", "##s"}

// pieceText is a tokenizer.json of them; change alters it first.
func pieceText(change func(file, model map[string]any)) string {
	ids := map[string]int{}
	for id, token := range pieceTokens {
		ids[token] = id
	}
	model := map[string]any{"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 10, "vocab": ids}
	file := map[string]any{
		"truncation": map[string]any{"max_length": 3}, "padding": map[string]any{"strategy": map[string]any{"Fixed": 128}},
		"normalizer":    map[string]any{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": nil, "lowercase": true},
		"pre_tokenizer": map[string]any{"type": "BertPreTokenizer"}, "model": model,
		"added_tokens": []any{map[string]any{"id": 2, "content": "[CLS]", "special": true}},
	}
	if change != nil {
		change(file, model)
	}
	return string(encodeJSON(file))
}

// TestWordPieceForms: tokenizer.json and vocab.txt give the same ids, by the rules that the files ask for.
func TestWordPieceForms(t *testing.T) {
	text := "Unaffable cafés. Café 東able\u00a0xyz unaffableunaffable [CLS]\ufeff"
	uncased := []int{5, 6, 7, 10, 15, 13, 10, 14, 9, 1, 1, 1, 1, 1}
	rules := func(name string, value any) string {
		return pieceText(func(file, _ map[string]any) { file["normalizer"].(map[string]any)[name] = value })
	}
	lines := strings.Join(pieceTokens, "\n")
	for name, c := range map[string]struct {
		files map[string]string
		want  []int
	}{
		"tokenizer.json":    {map[string]string{tokenizerJSON: pieceText(nil)}, uncased},
		"accents kept":      {map[string]string{tokenizerJSON: rules("strip_accents", false)}, []int{5, 6, 7, 11, 15, 13, 11, 14, 9, 1, 1, 1, 1, 1}},
		"cased":             {map[string]string{tokenizerJSON: rules("lowercase", false)}, []int{1, 11, 15, 13, 1, 14, 9, 1, 1, 1, 1, 1}},
		"cased, no accents": {map[string]string{tokenizerJSON: rules("lowercase", false), configFile: `{"strip_accents":true}`}, []int{1, 10, 15, 13, 12, 14, 9, 1, 1, 1, 1, 1}},
		"overridden":        {map[string]string{tokenizerJSON: rules("lowercase", false), configFile: `{"do_lower_case":true}`}, uncased},
		"Chinese in words":  {map[string]string{tokenizerJSON: rules("handle_chinese_chars", false)}, []int{5, 6, 7, 10, 15, 13, 10, 14, 7, 1, 1, 1, 1, 1}},
		"vocab.txt":         {map[string]string{vocabularyText: lines}, uncased},
		"vocab.txt, cased":  {map[string]string{vocabularyText: strings.ReplaceAll(lines, "\n", "\r\n") + "\r\n", configFile: `{"do_lower_case":false}`}, []int{1, 11, 15, 13, 1, 14, 9, 1, 1, 1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			tok, err := Load(folder(t, c.files))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, tok.Encode(text)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if tok.PadID() != 0 || tok.Size() != len(pieceTokens) || tok.Segments() != 2 {
				t.Errorf("pad %d, size %d, segments %d", tok.PadID(), tok.Size(), tok.Segments())
			}
		})
	}
}

// TestBertFrame: BERT's pair has one [CLS], and its second text with the [SEP] after it is segment 1.
func TestBertFrame(t *testing.T) {
	tok, err := Load(folder(t, map[string]string{tokenizerJSON: pieceText(nil)}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{2, 9, 13, 3}, tok.Single("able.")); diff != "" {
		t.Error(diff)
	}
	ids, types := tok.Pair("able.", "cafe")
	if diff := cmp.Diff([][]int{{2, 9, 13, 3, 10, 3}, {0, 0, 0, 0, 1, 1}}, [][]int{ids, types}); diff != "" {
		t.Error(diff)
	}
	batch, err := tok.Turn("able. cafe", []string{"cafe", "un able."}, 7)
	if err != nil {
		t.Fatal(err)
	}
	want := Batch{
		IDs:   []int64{2, 9, 13, 10, 3, 10, 3, 2, 10, 3, 5, 9, 13, 3},
		Mask:  []int64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
		Types: []int64{0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 1, 1},
		Rows:  2, Length: 7, Tokens: 14, Cut: 1,
	}
	if diff := cmp.Diff(want, batch); diff != "" {
		t.Error(diff)
	}
	if _, err := tok.Turn("able", []string{"able able able"}, 5); err == nil || !strings.Contains(err.Error(), "with 3 special ones") {
		t.Errorf("got %v", err)
	}
}

func TestWordPieceDecode(t *testing.T) {
	tok, err := Load(folder(t, map[string]string{tokenizerJSON: pieceText(nil)}))
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Decode([]int{2, 5, 6, 7, 10, 13, 99, -1, 3}); got != "[CLS] unaffable cafe . [SEP]" {
		t.Errorf("got %q", got)
	}
}

func TestWordPieceErrors(t *testing.T) {
	model := func(key string, value any) map[string]string {
		return map[string]string{tokenizerJSON: pieceText(func(_, model map[string]any) { model[key] = value })}
	}
	file := func(key string, value any) map[string]string {
		return map[string]string{tokenizerJSON: pieceText(func(file, _ map[string]any) { file[key] = value })}
	}
	lines := func(text string) map[string]string {
		return map[string]string{vocabularyFile: "-", vocabularyText: text}
	}
	checkLoadErrors(t, map[string]loadError{
		"other words":        {file("pre_tokenizer", map[string]any{"type": "Whitespace"}), `tokenizer.json: pre_tokenizer type "Whitespace" is not supported`},
		"no words":           {file("pre_tokenizer", nil), `pre_tokenizer type "" is not supported`},
		"another normalizer": {file("normalizer", map[string]any{"type": "Lowercase"}), `normalizer {"type":"Lowercase"} is not supported`},
		"no normalizer":      {file("normalizer", nil), `normalizer null is not supported`},
		"an added word":      {file("added_tokens", []any{map[string]any{"id": 90, "content": "hey"}}), `"hey" is not a special token`},
		"no unknown token":   {model("unk_token", "[WHAT]"), `the unknown token "[WHAT]" is not in the vocabulary`},
		"huge words":         {model("max_input_chars_per_word", 1<<30), "max_input_chars_per_word is 1073741824, want 1 to 1000"},
		"a long prefix":      {model("continuing_subword_prefix", strings.Repeat("#", 20)), "continuing_subword_prefix has 20 bytes, want at most 16"},
		"no words at all":    {model("max_input_chars_per_word", 0), "max_input_chars_per_word is 0"},
		"a huge id":          {model("vocab", map[string]any{"[UNK]": 1 << 40}), "is no whole number"},
		"a list of tokens":   {model("vocab", []any{"a"}), "model.vocab"},
		"no vocabulary":      {model("vocab", nil), "model.vocab"},
		"a line twice":       {lines("[PAD]\n[UNK]\n[PAD]\n"), `vocab.txt: line 3: token "[PAD]" stands in line 1 too`},
		"an empty line":      {lines("[PAD]\n\n[UNK]\n"), "vocab.txt: line 2: its token is empty"},
		"no [CLS]":           {lines("[PAD]\n[UNK]\n"), `special token "[CLS]" is not in the vocabulary`},
		"no basic words":     {map[string]string{vocabularyFile: "-", vocabularyText: "a", configFile: `{"do_basic_tokenize":false}`}, "do_basic_tokenize: false"},
	})
}

// TestBertCharacters compares what BERT's rules make of each character between two letters with Hugging Face's:
// testdata/bertchars.txt has digests of 4,096 characters each, by tokenizers 0.22.2, with lower-casing and without.
// U+11938 is left out: newer Unicode takes it apart and Hugging Face's does not.
func TestBertCharacters(t *testing.T) {
	data, err := os.ReadFile("testdata/bertchars.txt")
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		var block rune
		var want [2]string
		if _, err := fmt.Sscanf(lines.Text(), "%X %s %s", &block, &want[0], &want[1]); err != nil {
			t.Fatal(err)
		}
		if block >= 0x21000 && block != 0x2F000 && block != 0xE0000 { // ideographs and nothing: one block stands for the others
			continue
		}
		for i, rules := range []bertRules{{true, true, true, true}, {true, true, false, false}} {
			hash := sha256.New()
			for c := block; c < block+0x1000; c++ {
				if c >= 0xD800 && c < 0xE000 || c == 0x11938 {
					continue
				}
				pieces := slices.Collect(rules.words("x" + string(c) + "x"))
				fmt.Fprintf(hash, "%s\n", strings.Join(pieces, "\x00"))
			}
			if got := hex.EncodeToString(hash.Sum(nil))[:16]; got != want[i] {
				t.Errorf("%U to %U, lower %v: digest %s, want %s", block, block+0xFFF, rules.lower, got, want[i])
			}
		}
	}
}

// miniLM is the real tokenizer beside the project, from tokenizer.json and from vocab.txt.
func miniLM(t *testing.T) map[string]*Tokenizer {
	t.Helper()
	dir := shared(t, "models/all-minilm-l6-v2")
	files := map[string]string{}
	for _, name := range []string{vocabularyText, specialFile, configFile} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(data)
	}
	found := map[string]*Tokenizer{}
	for name, dir := range map[string]string{tokenizerJSON: dir, vocabularyText: folder(t, files)} {
		tok, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		found[name] = tok
	}
	return found
}

func TestMiniLMHardStrings(t *testing.T) {
	for name, tok := range miniLM(t) {
		t.Run(name, func(t *testing.T) {
			for _, row := range jsonLines[encoded](t, shared(t, "reference/minilm/hard.jsonl")) {
				if diff := cmp.Diff(row.IDs, tok.Encode(row.Text)); diff != "" {
					t.Errorf("Encode(%+q) (-Hugging Face +ours):\n%s", row.Text, diff)
				}
			}
		})
	}
}

// TestMiniLMCorpus compares the ids of every utterance of the validation file by SHA-256, and twelve pairs in full.
func TestMiniLMCorpus(t *testing.T) {
	var want struct {
		Strings, IDs int
		SHA256       string
		Pairs        []struct{ A, B string }
	}
	data, err := os.ReadFile(shared(t, "reference/minilm/index.json"))
	if err == nil {
		err = json.Unmarshal(data, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	tok, digest, total := miniLM(t)[tokenizerJSON], sha256.New(), 0
	texts := utterances(t, shared(t, "data/convai2/valid_self_original.txt"))
	for _, text := range texts {
		ids := tok.Encode(text)
		total += len(ids)
		digest.Write(layout(ids))
	}
	if got := hex.EncodeToString(digest.Sum(nil)); got != want.SHA256 || total != want.IDs || len(texts) != want.Strings {
		t.Errorf("%d strings, %d ids with digest %s, want %d, %d with %s", len(texts), total, got, want.Strings, want.IDs, want.SHA256)
	}
	golden, err := safetensors.Open(shared(t, "reference/minilm/outputs.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer golden.Close()
	var ids, types []int64
	for _, pair := range want.Pairs {
		row, segments := tok.Pair(pair.A, pair.B)
		batch := NewBatch([][]int{row, make([]int, 42)}, tok.PadID()) // 42 is the longest of the twelve
		for i, s := range segments {
			batch.Types[i] = int64(s)
		}
		ids, types = append(ids, batch.IDs[:batch.Length]...), append(types, batch.Types[:batch.Length]...)
	}
	for name, got := range map[string][]int64{"input_ids": ids, "token_type_ids": types} {
		if theirs, err := golden.Int64(name); err != nil || !slices.Equal(theirs, got) {
			t.Errorf("%s of the twelve pairs differ (%v)", name, err)
		}
	}
}
