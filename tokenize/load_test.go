package tokenize

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// folder writes files into a fresh folder.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// small is a vocabulary of the special tokens and bytes with the merges "h i" and "Ġ hi".
func small() *Vocabulary {
	v := &Vocabulary{IDs: map[string]int{}, Special: robertaSpecial, Merges: [][2]string{{"h", "i"}, {"Ġ", "hi"}}}
	for _, token := range []string{"<s>", "<pad>", "</s>", "<unk>", "hi", "Ġhi"} {
		v.IDs[token] = len(v.IDs)
	}
	for _, letter := range letterOf {
		v.IDs[string(letter)] = len(v.IDs)
	}
	v.IDs["<mask>"] = len(v.IDs)
	return v
}

// smallFiles are vocab.json and merges.txt of small.
func smallFiles() map[string]string {
	return map[string]string{vocabularyFile: string(small().vocabularyJSON()), mergesFile: string(small().mergesText())}
}

// tokenizerText is a tokenizer.json of small; change alters it first.
func tokenizerText(change func(file, model map[string]any)) string {
	v := small()
	model := map[string]any{"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": "", "vocab": v.IDs, "merges": v.Merges}
	file := map[string]any{
		"version": "1.0", "truncation": map[string]any{"max_length": 3}, "normalizer": nil, "model": model,
		"pre_tokenizer": map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true},
		"added_tokens":  []any{map[string]any{"id": 0, "content": "<s>", "special": true}},
	}
	if change != nil {
		change(file, model)
	}
	return string(encodeJSON(file))
}

func indented(text string) string {
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(text), "", "  "); err != nil {
		return err.Error()
	}
	return out.String()
}

// TestLoadForms: every form of the same vocabulary gives the same ids.
func TestLoadForms(t *testing.T) {
	joined := func(_, model map[string]any) { model["merges"] = []string{"h i", "Ġ hi"} }
	withBytes := func(name, text string) map[string]string {
		files := smallFiles()
		files[name] = text
		return files
	}
	for name, files := range map[string]map[string]string{
		"vocabulary and merges":     smallFiles(),
		"merges without a version":  withBytes(mergesFile, "h i\nĠ hi"),
		"merges with CR and blanks": withBytes(mergesFile, "#version: 0.2\r\nh i\r\nĠ hi\r\n\r\n\n"),
		"indented vocabulary":       withBytes(vocabularyFile, indented(smallFiles()[vocabularyFile])),
		"tokenizer.json":            {tokenizerJSON: tokenizerText(nil)},
		"merges as text":            {tokenizerJSON: tokenizerText(joined)},
		"tokenizer.json before the others": withBytes(tokenizerJSON, tokenizerText(func(_, model map[string]any) {
			model["merges"] = small().Merges
		})),
		"lower case is ignored": withBytes(configFile, `{"do_lower_case": true, "add_prefix_space": false, "unk_token": {"content": "<unk>"}}`),
		"other files beside":    withBytes("config.json", "{"),
	} {
		t.Run(name, func(t *testing.T) {
			tok, err := Load(folder(t, files))
			if err != nil {
				t.Fatal(err)
			}
			v := small()
			want := []int{0, v.IDs["hi"], v.IDs["Ġhi"], v.IDs["Ġ"], v.IDs["H"], v.IDs["i"], 2}
			if diff := cmp.Diff(want, tok.Single("hi hi Hi")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestSpecialTokens: their texts come from the folder, the classifier's before the language model's.
func TestSpecialTokens(t *testing.T) {
	renamed := strings.NewReplacer(`"<s>"`, `"[CLS]"`, `"</s>"`, `"[SEP]"`, `"<pad>"`, `"[PAD]"`).Replace(smallFiles()[vocabularyFile])
	for name, files := range map[string]map[string]string{
		"map of texts":     {specialFile: `{"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "bos_token": "h"}`},
		"map of objects":   {specialFile: `{"bos_token": {"content": "[CLS]"}, "eos_token": {"content": "[SEP]", "lstrip": true}, "pad_token": "[PAD]"}`},
		"configuration":    {configFile: `{"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "mask_token": null}`},
		"map before other": {specialFile: `{"cls_token": "[CLS]", "sep_token": "[SEP]"}`, configFile: `{"cls_token": "h", "pad_token": "[PAD]"}`},
	} {
		t.Run(name, func(t *testing.T) {
			files[vocabularyFile], files[mergesFile] = renamed, smallFiles()[mergesFile]
			tok, err := Load(folder(t, files))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]int{0, 4, 2}, tok.Single("hi")); diff != "" || tok.PadID() != 1 {
				t.Errorf("PadID %d; (-want +got):\n%s", tok.PadID(), diff)
			}
		})
	}
}

// TestBytesWithoutLetters: what the vocabulary cannot spell is <unk>.
func TestBytesWithoutLetters(t *testing.T) {
	v := small()
	delete(v.IDs, "x")
	tok, err := New(v)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{4, 3, 4}, tok.Encode("hixhi")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	delete(v.IDs, "<unk>")
	if _, err := New(v); err == nil || !strings.Contains(err.Error(), "byte 0x78") {
		t.Errorf("without <unk>: got %v, want an error about byte 0x78", err)
	}
}

// loadError is files put over vocab.json and merges.txt, where "-" takes one away, and a part of Load's error.
type loadError struct {
	change map[string]string
	want   string
}

func checkLoadErrors(t *testing.T, cases map[string]loadError) {
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			files := smallFiles()
			maps.Copy(files, c.change)
			maps.DeleteFunc(files, func(_, text string) bool { return text == "-" })
			dir := folder(t, files)
			_, err := Load(dir)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "loading tokenizer "+dir) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestLoadErrors(t *testing.T) {
	vocabulary, merges := smallFiles()[vocabularyFile], smallFiles()[mergesFile]
	entry := func(e string) string { return strings.TrimSuffix(vocabulary, "}") + "\n," + e + "}" }
	last := fmt.Sprintf("line 2, entry %d: ", len(small().IDs)+1)
	checkLoadErrors(t, map[string]loadError{
		"no files":              {map[string]string{vocabularyFile: "-", mergesFile: "-"}, "a tokenizer is tokenizer.json, vocab.json with merges.txt, or vocab.txt"},
		"no merges":             {map[string]string{mergesFile: "-"}, "merges.txt: no such file"},
		"vocabulary of nothing": {map[string]string{vocabularyFile: ""}, "vocab.json: line 1: the file is no object of tokens and ids: the file ends too early"},
		"vocabulary is a list":  {map[string]string{vocabularyFile: "[1]"}, "found ["},
		"vocabulary cut short":  {map[string]string{vocabularyFile: vocabulary[:len(vocabulary)-1]}, "the file ends too early"},
		"vocabulary cut in two": {map[string]string{vocabularyFile: `{"a":`}, "line 1, entry 1: the file ends too early"},
		"text behind it":        {map[string]string{vocabularyFile: vocabulary + "{}"}, "behind the object: found {"},
		"a token twice":         {map[string]string{vocabularyFile: entry(`"hi":900`)}, "vocab.json: " + last + `token "hi" stands there twice`},
		"an id twice":           {map[string]string{vocabularyFile: entry(`"ho":4`)}, last + `tokens "hi" and "ho" share the id 4`},
		"a negative id":         {map[string]string{vocabularyFile: entry(`"ho":-1`)}, last + `token "ho": id -1 is no whole number from 0 to`},
		"a huge id":             {map[string]string{vocabularyFile: entry(`"ho":99999999999999999999`)}, "is no whole number"},
		"a broken id":           {map[string]string{vocabularyFile: entry(`"ho":4.5`)}, "id 4.5"},
		"an id that is text":    {map[string]string{vocabularyFile: entry(`"ho":"4"`)}, "4 is no id"},
		"an id that is a list":  {map[string]string{vocabularyFile: entry(`"ho":[4]`)}, "[ is no id"},
		"an empty token":        {map[string]string{vocabularyFile: entry(`"":900`)}, "id 900: its token is empty"},
		"a merge of one":        {map[string]string{mergesFile: merges + "hih\n"}, `merges.txt: line 4: "hih" is no pair`},
		"a merge of three":      {map[string]string{mergesFile: "h i h\n"}, `merges.txt: line 1: "h i h" is no pair`},
		"an empty merge":        {map[string]string{mergesFile: merges + "\nh h\n"}, `merges.txt: line 4: "" is no pair`},
		"an unknown part":       {map[string]string{mergesFile: merges + "h ix\n"}, `merges.txt: line 4: merging "h" and "ix": token "ix" is not in the vocabulary`},
		"an unknown merge":      {map[string]string{mergesFile: merges + "h h\n"}, `merges.txt: line 4: merging "h" and "h": token "hh" is not in the vocabulary`},
		"a merge twice":         {map[string]string{mergesFile: merges + "h i\n"}, `merges.txt: line 4: merging "h" and "i": the same pair is merge 1`},
		"no <s>":                {map[string]string{specialFile: `{"cls_token": "<x>"}`}, `special token "<x>" is not in the vocabulary`},
		"a broken map":          {map[string]string{specialFile: "{\n\"cls_token\": }"}, "special_tokens_map.json: line 2: "},
		"a map of numbers":      {map[string]string{specialFile: "{\"cls_token\": 1}"}, "special_tokens_map.json: "},
		"a prefix space":        {map[string]string{configFile: `{"add_prefix_space": true}`}, "tokenizer_config.json: add_prefix_space"},
	})
}

func TestTokenizerJSONErrors(t *testing.T) {
	file := func(key string, value any) string {
		return tokenizerText(func(file, _ map[string]any) { file[key] = value })
	}
	model := func(key string, value any) string {
		return tokenizerText(func(_, model map[string]any) { model[key] = value })
	}
	checkLoadErrors(t, map[string]loadError{
		"another tokenizer.json": {map[string]string{tokenizerJSON: model("type", "WordLevel")}, `tokenizer.json: model type "WordLevel" is not supported`},
		"a normalizer":           {map[string]string{tokenizerJSON: file("normalizer", map[string]string{"type": "NFC"})}, `normalizer {"type":"NFC"}`},
		"other words":            {map[string]string{tokenizerJSON: file("pre_tokenizer", map[string]string{"type": "Whitespace"})}, `pre_tokenizer type "Whitespace"`},
		"a prefix space in it":   {map[string]string{tokenizerJSON: file("pre_tokenizer", map[string]any{"type": "ByteLevel", "add_prefix_space": true})}, "add_prefix_space"},
		"no words":               {map[string]string{tokenizerJSON: file("pre_tokenizer", map[string]any{"type": "ByteLevel", "use_regex": false})}, "use_regex"},
		"an added word":          {map[string]string{tokenizerJSON: file("added_tokens", []any{map[string]any{"id": 900, "content": "hey"}})}, `added_tokens, entry 1: "hey" is not a special token`},
		"another added id":       {map[string]string{tokenizerJSON: file("added_tokens", []any{map[string]any{"id": 9, "content": "<s>", "special": true}})}, `"<s>" has the id 9, in model.vocab it is 0`},
		"a shared added id":      {map[string]string{tokenizerJSON: file("added_tokens", []any{map[string]any{"id": 4, "content": "<x>", "special": true}})}, `tokens "<x>" and "hi" share the id 4`},
		"a huge added id":        {map[string]string{tokenizerJSON: file("added_tokens", []any{map[string]any{"id": 1 << 40, "content": "<x>", "special": true}})}, `token "<x>": id 1099511627776 is outside`},
		"dropout":                {map[string]string{tokenizerJSON: model("dropout", 0.1)}, "model.dropout"},
		"a subword prefix":       {map[string]string{tokenizerJSON: model("continuing_subword_prefix", "##")}, "prefix or suffix"},
		"byte fallback":          {map[string]string{tokenizerJSON: model("byte_fallback", true)}, "byte_fallback"},
		"merges ignored":         {map[string]string{tokenizerJSON: model("ignore_merges", true)}, "ignore_merges"},
		"no vocab in it":         {map[string]string{tokenizerJSON: `{"pre_tokenizer":{"type":"ByteLevel"}}`}, "a model without vocab"},
		"vocab of lists":         {map[string]string{tokenizerJSON: model("vocab", []any{[]any{"a", 1}})}, "model.vocab"},
		"a merge of numbers":     {map[string]string{tokenizerJSON: model("merges", []any{1})}, "1 is no merge"},
		"a merge pair of three":  {map[string]string{tokenizerJSON: model("merges", []any{[]string{"h", "i", "h"}})}, "is no pair of tokens"},
		"an unknown json merge":  {map[string]string{tokenizerJSON: model("merges", []any{"h i", "h x"})}, `tokenizer.json: merge 2: merging "h" and "x"`},
		"broken json":            {map[string]string{tokenizerJSON: "{\n\n!"}, "tokenizer.json: line 3: "},
	})
}

// TestUnreadableFiles: what is no file, or too large a one, is refused before it is read.
func TestUnreadableFiles(t *testing.T) {
	dir := folder(t, smallFiles())
	path := filepath.Join(dir, mergesFile)
	if err := os.Truncate(path, maxFile+1); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "merges.txt: 50331649 bytes, and at most 50331648") {
		t.Errorf("a huge file: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "merges.txt: not a regular file") {
		t.Errorf("a folder: %v", err)
	}
}

func FuzzParseVocabulary(f *testing.F) {
	for _, text := range []string{"", "{}", `{"a":1,"b":2}`, `{"a":1,"a":2}`, `{"a":1e3}`, `{"a":{"b":1}}`, `{"a":1}x`, "{\"\xff\":1,\"\xfe\":2}", "[[[["} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		ids, err := parseVocabulary(data)
		if err != nil {
			return
		}
		var want map[string]int
		if err := json.Unmarshal(data, &want); err != nil || !cmp.Equal(want, ids) {
			t.Errorf("parsed as %v, by encoding/json as %v with error %v", ids, want, err)
		}
	})
}

func FuzzParseMerges(f *testing.F) {
	for _, text := range []string{"", "#version: 0.2", "#version: 0.2\na b\n", "a b\r\nc d\n\n", "a  b", " ", "a b c", "# b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		merges, first, err := parseMerges([]byte(text))
		if err != nil {
			return
		}
		lines := strings.Split(text, "\n")
		for i, m := range merges {
			if got := strings.TrimSuffix(lines[first-1+i], "\r"); got != m[0]+" "+m[1] && strings.TrimRight(got, "\r") != m[0]+" "+m[1] {
				t.Errorf("line %d is %q, parsed as %q", first+i, got, m)
			}
		}
	})
}

// FuzzParseLines: a vocabulary has each line once, under its number.
func FuzzParseLines(f *testing.F) {
	for _, text := range []string{"", "a", "a\nb\n", "a\r\nb", "a\na", "\n\n", "\r", "[PAD]\n\xff"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		ids, err := parseLines(data)
		if err != nil {
			return
		}
		lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
		if len(ids) != len(lines) {
			t.Errorf("%d ids of %d lines", len(ids), len(lines))
		}
		for i, line := range lines {
			if id, ok := ids[strings.TrimSuffix(line, "\r")]; !ok || id != i {
				t.Errorf("line %d, %q, has the id %d", i, line, id)
			}
		}
	})
}

func FuzzParseTokenizer(f *testing.F) {
	f.Add([]byte(tokenizerText(nil)))
	f.Add([]byte(tokenizerText(func(_, model map[string]any) { model["merges"] = []string{"h i"} })))
	f.Add([]byte(`{"model":{"vocab":null},"pre_tokenizer":{"type":"ByteLevel"}}`))
	f.Add([]byte(`{"pre_tokenizer":null,"added_tokens":[{}]}`))
	f.Add([]byte(pieceText(nil)))
	f.Add([]byte(unigramText(f, nil)))
	f.Add([]byte(pieceText(func(file, model map[string]any) {
		file["normalizer"], model["continuing_subword_prefix"] = map[string]any{"type": "BertNormalizer", "strip_accents": true}, ""
	})))
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := parseTokenizer(data, settings{})
		if err != nil {
			return
		}
		for _, id := range tok.Encode(string(data)) {
			if id < 0 || id >= tok.Size() {
				t.Errorf("id %d, and Size is %d", id, tok.Size())
			}
		}
		tok.Decode(tok.Encode(string(data)))
	})
}

func FuzzParseSettings(f *testing.F) {
	for _, text := range []string{"{}", "null", `{"cls_token":"a","mask_token":{"content":"b"}}`, `{"pad_token":[]}`, `{"do_lower_case":true,"strip_accents":null}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := parseSettings(data); err != nil && s != (settings{}) {
			t.Errorf("%v comes with an error: %v", s, err)
		}
	})
}
