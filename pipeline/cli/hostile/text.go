package main

import (
	"strings"
)

// dialogues are dialogue files.
func dialogues() []attack {
	var all []attack
	add := func(name, want, text string) {
		all = append(all, attack{room: "convai2", name: "dialogue-" + name + ".txt", data: []byte(text), verb: []string{"data", "tasks", "PATH"}, code: 3, want: want})
	}
	const persona = "1 your persona: i like tea.\n"
	add("empty", "no dialogue in it", "")
	add("nuls", "line begins with", strings.Repeat("\x00", 512))
	add("no-utf8", ":2: text is not valid UTF-8", persona+"2 hello \xff\xfe\tme too\n")
	add("sixteen-bits", "not valid UTF-8", "\xff\xfe1\x00 \x00a\x00")
	add("a-pickle", "not valid UTF-8", "\x80\x04cposix\nsystem\n(Vid\ntR.")
	add("starts-at-two", ":1: line is numbered 2", "2 hello\tme too\n")
	add("number-skipped", ":2: line is numbered 3", persona+"3 hello\tme too\n")
	add("number-overflow", ":1: line is numbered", "99999999999999999999 hello\tme too\n")
	add("number-negative", ":1: line begins with", "-1 hello\tme too\n")
	add("number-zero-led", ":1: line is numbered", "01 hello\tme too\n")
	add("number-of-other-digits", ":1: line begins with", "１ hello\tme too\n")
	add("number-alone", "truncated line", "1\n")
	add("empty-line", "empty line", persona+"\n")
	add("no-tab", "no tab", persona+"2 hello\n")
	add("no-reply", "empty reply", persona+"2 hello\t\n")
	add("no-partner", "empty utterance", persona+"2 \thello\n")
	add("three-columns", "3 columns", persona+"2 hello\tme\tx\n")
	add("reward", "third column", persona+"2 hello\tme\t=cmd|' /C calc'!A0\tme|you\n")
	add("candidate-empty", "candidate 2 is empty", persona+"2 hello\tme\t\tme||you\n")
	add("reply-not-among-candidates", "is not among the 2 candidates", persona+"2 hello\tme\t\tyou|she\n")
	add("persona-late", "persona sentence after", persona+"2 hello\tme\n3 your persona: i ski.\n")
	add("persona-empty", "empty persona sentence", "1 your persona:\n2 hello\tme\n")
	add("no-turn", "ends without a turn", persona)
	return all
}

// personas are persona maps.
func personas() []attack {
	var all []attack
	add := func(name, want, text string) {
		all = append(all, attack{room: "convai2", name: "personas-" + name + ".json", data: []byte(text),
			verb: []string{"data", "tasks", "GOOD", "--personas", "PATH"}, code: 3, want: want})
	}
	add("empty", "unexpected end of JSON", "")
	add("no-list", "cannot unmarshal object", `{"a":"b"}`)
	add("flat", "cannot unmarshal string", `["a"]`)
	add("no-cluster", "no cluster in it", `[]`)
	add("no-set", "has no sentence set", `[[]]`)
	add("no-sentence", "no sentence in it", `[[[]]]`)
	add("null-sentence", "is empty or has a tab", `[[[null]]]`)
	add("tab", "is empty or has a tab", `[[["a\tb"]]]`)
	add("in-two-clusters", "cluster 0 has the same sentences", `[[["a"]],[["a"]]]`)
	add("no-utf8", "no UTF-8", "[[[\"\xff\"]]]")
	add("deep", "nested deeper than 100", strings.Repeat("[", 5000)+strings.Repeat("]", 5000))
	return all
}

// settings are experiment files.
func settings() []attack {
	var all []attack
	add := func(name string, code int, want, text string) {
		all = append(all, attack{room: "pipeline", name: name + ".yaml", data: []byte(text), verb: []string{"plan", "PATH"}, code: code, want: want})
	}
	laughs := "a0: &a0 [x, x]\n"
	for i, names := 1, "0123456789"; i < len(names); i++ {
		before := "*a" + names[i-1:i]
		laughs += "a" + names[i:i+1] + ": &a" + names[i:i+1] + " [" + strings.TrimSuffix(strings.Repeat(before+", ", 20), ", ") + "]\n"
	}
	add("unknown-key", 2, `unknown key "modell"`, "modell: {path: x}\n")
	add("key-twice", 2, `key "name" is there twice`, "name: a\nname: b\n")
	add("laughs", 2, "unknown key", laughs)
	add("laughs-in-a-list", 2, "seeds", "seeds: &a [[1, 1], [1, 1]]\n")
	add("alias-of-itself", 2, "seeds", "seeds: &a [*a, *a]\n")
	add("alias-of-nothing", 3, "unknown anchor", "seeds: *a\n")
	add("merge-key", 2, `unknown key "adapt.<<"`, "data: &d {folds: 2}\nadapt: {<<: *d}\n")
	add("deep", 3, "exceeded max depth", "seeds: "+strings.Repeat("[", 11_000)+"\n")
	add("two-documents", 3, "a second document", "name: a\n---\nname: b\n")
	add("no-yaml", 3, "", "\x00\x01\x02")
	add("tab-indent", 3, "", "data:\n\tfolds: 2\n")
	add("object-tag", 2, "threads", "threads: !!python/object/apply:os.system [id]\n")
	add("name-leads-out", 2, "cannot be the name of a folder", "name: ../../escape\n")
	add("name-absolute", 2, "cannot be the name of a folder", "name: /etc/cron.d/x\n")
	add("ranks-all", 2, "is not between 1 and", "tasks: {test: {ranks: 1-999999999999}}\n")
	add("seed-overflow", 2, "is no whole number", "seeds: [99999999999999999999]\n")
	add("rate-nan", 2, "is no number", "retrain: {learning_rate: .nan}\n")
	add("rate-infinite", 2, "is no number", "adapt: {learning_rate: .inf}\n")
	add("epochs-negative", 2, "retrain.epochs", "data: {train: a, valid: b}\nmodel: {path: m}\nretrain: {epochs: -1}\n")
	add("method-a-path", 2, "retrain.methods", "data: {train: a, valid: b}\nmodel: {path: m}\nretrain: {methods: [../../x]}\n")
	return all
}
