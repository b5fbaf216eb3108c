package main

import (
	"encoding/base64"
	"fmt"
	"strings"
)

const tokenizer = "tokenize/testdata/trained"

// read is an attack on one file of a tokenizer's folder.
func read(as, name, want, text string, without ...string) attack {
	return attack{room: "tokenize", name: name, data: []byte(text), verb: []string{"tokenize", "--model", "PATH"},
		base: tokenizer, as: as, without: without, code: 3, want: want}
}

// vocabularies are lists of tokens and merges, and the small files beside.
func vocabularies() []attack {
	vocab := func(name, want, text string) attack { return read("vocab.json", "vocab-"+name+".json", want, text) }
	merges := func(name, want, text string) attack { return read("merges.txt", "merges-"+name+".txt", want, text) }
	lines := func(name, want, text string) attack {
		return read("vocab.txt", "lines-"+name+".txt", want, text, "vocab.json", "merges.txt")
	}
	special := func(name, want, text string) attack {
		return read("special_tokens_map.json", "special-"+name+".json", want, text)
	}
	return []attack{
		vocab("empty", "ends too early", ""),
		vocab("list", "no object of tokens and ids", "[]"),
		vocab("truncated", "ends too early", `{"a":1,"b"`),
		vocab("behind", "behind the object", `{"a":1} {"a":2}`),
		vocab("token-twice", `token "a" stands there twice`, `{"a":1,"a":2}`),
		vocab("id-twice", `share the id 1`, `{"a":1,"b":1}`),
		vocab("id-negative", "id -1 is no whole number", `{"a":-1}`),
		vocab("id-huge", "id 1000000000 is no whole number", `{"a":1000000000}`),
		vocab("id-overflow", "is no whole number", `{"a":99999999999999999999}`),
		vocab("id-fraction", "is no whole number", `{"a":1.5}`),
		vocab("id-nested", "is no id", `{"a":{"b":1}}`),
		merges("three", "no pair of tokens", "#version: 0.2\na b c\n"),
		merges("one", "no pair of tokens", "a\n"),
		merges("unknown", "is not in the vocabulary", "星 星\n"),
		merges("nuls", "no pair of tokens", strings.Repeat("\x00", 100)),
		lines("twice", `token "a" stands in line 1 too`, "a\na\n"),
		lines("empty-token", "its token is empty", "[PAD]\n\n[UNK]\n"),
		special("list", "special_tokens_map.json: line 1", "[]"),
		special("number", "special_tokens_map.json: line 1", `{"pad_token":7}`),
		special("twice", `key "pad_token" comes twice`, `{"pad_token":"a","pad_token":"b"}`),
		special("deep", "nested deeper than 100", strings.Repeat("[", 5000)),
		special("no-utf8", "no UTF-8", "{\"pad_token\":\"\xff\"}"),
		read("tokenizer_config.json", "config-own-code.json", "do_basic_tokenize: false is not supported", `{"auto_map":{"AutoTokenizer":"evil.py"},"do_basic_tokenize":false}`),
	}
}

// tokenizers are tokenizer.json files.
func tokenizers() []attack {
	whole := func(name, want, text string) attack {
		return read("tokenizer.json", "tokenizer-"+name+".json", want, text)
	}
	bpe := func(fields string) string {
		return `{"pre_tokenizer":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{"a":0}` + fields + `}}`
	}
	unigram := func(charsmap, unknown, vocab string) string {
		return fmt.Sprintf(`{"normalizer":{"type":"Precompiled","precompiled_charsmap":%q},"pre_tokenizer":{"type":"Sequence","pretokenizers":[`+
			`{"type":"WhitespaceSplit"},{"type":"Metaspace","replacement":"▁","add_prefix_space":true}]},"model":{"type":"Unigram","unk_id":%s,"vocab":%s}}`, charsmap, unknown, vocab)
	}
	lying := base64.StdEncoding.EncodeToString([]byte("\xff\xff\xff\xffabcd"))
	none := base64.StdEncoding.EncodeToString([]byte("\x04\x00\x00\x00\x00\x00\x00\x00"))
	return []attack{
		whole("empty", "unexpected end of JSON", ""),
		whole("list", "cannot unmarshal array", "[]"),
		whole("truncated", "unexpected end of JSON", `{"model":{"type":"BPE"`),
		whole("deep", "nested deeper than 100", `{"normalizer":`+strings.Repeat(`{"a":`, 2000)+"1"+strings.Repeat("}", 2001)),
		whole("model-twice", `key "model" comes twice`, `{"model":{"type":"BPE"},"model":{"type":"WordPiece"}}`),
		whole("own-kind", `model type "../../evil" is not supported`, `{"model":{"type":"../../evil"}}`),
		whole("no-vocabulary", "without vocab", `{"pre_tokenizer":{"type":"ByteLevel"},"model":{"type":"BPE"}}`),
		whole("vocabulary-null", "no object of tokens", `{"pre_tokenizer":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":null}}`),
		whole("byte-fallback", "byte_fallback", bpe(`,"byte_fallback":true`)),
		whole("merge-of-three", "no pair of tokens", bpe(`,"merges":[["a","b","c"]]`)),
		whole("merge-number", "is no merge", bpe(`,"merges":[7]`)),
		whole("expression", "pre_tokenizer type", `{"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(a+)+$"}},"model":{"type":"BPE","vocab":{"a":0}}}`),
		whole("added-huge", "is outside 0", `{"added_tokens":[{"id":1000000000,"content":"x","special":true}],"pre_tokenizer":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{"a":0}}}`),
		whole("added-negative", "is outside 0", `{"added_tokens":[{"id":-1,"content":"x","special":true}],"pre_tokenizer":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{"a":0}}}`),
		whole("added-plain", "not a special token", `{"added_tokens":[{"id":1,"content":"x"}],"pre_tokenizer":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{"a":0}}}`),
		whole("charsmap-no-base64", "precompiled_charsmap", unigram("*", "0", `[["a",0]]`)),
		whole("charsmap-lies", "not the length of an array", unigram(lying, "0", `[["a",0]]`)),
		whole("unknown-outside", "model.vocab", unigram(none, "7", `[["a",0]]`)),
		whole("score-infinite", "no piece with its score", unigram(none, "0", `[["a",1e999]]`)),
		whole("score-text", "no piece with its score", unigram(none, "0", `[["a","b"]]`)),
		whole("piece-of-three", "no piece with its score", unigram(none, "0", `[["a",0,0]]`)),
	}
}
