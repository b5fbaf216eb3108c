package main

import (
	"encoding/json"
	"strings"
)

// bert is the config.json of the small BERT with some fields changed: in place of what stands there, or "name": value.
func bert(fields string) []byte {
	return []byte(`{"model_type":"bert","vocab_size":20,"hidden_size":8,"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":12,"max_position_embeddings":16` + fields + "}\n")
}

// configs are config.json files.
func configs() []attack {
	var all []attack
	add := func(name, want string, data []byte) {
		all = append(all, attack{room: "models", name: "config-" + name + ".json", data: data,
			verb: []string{"model", "inspect", "PATH"}, base: model, as: "config.json", code: 3, want: want})
	}
	only := func(field string) []byte { return []byte(`{"model_type":"bert",` + field + "}\n") }
	add("empty", "unexpected end of JSON", nil)
	add("null", "null", []byte("null"))
	add("list", "cannot unmarshal array", []byte("[]"))
	add("truncated", "unexpected end of JSON", []byte(`{"model_type":"bert","vocab_size":2`))
	add("no-utf8", "no UTF-8", []byte("{\"model_type\":\"\xc3\x28\"}"))
	add("deep", "nested deeper than 100", bert(`,"x":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)))
	add("twice", `key "hidden_size" comes twice`, bert(`,"hidden_size":4096`))
	add("twice-escaped", `key "hidden_size" comes twice`, bert(`,"hidden\u005fsize":4096`))
	add("type-of-a-path", `model_type "../../bert" is not supported`, []byte(`{"model_type":"../../bert"}`))
	add("type-a-number", "model_type", []byte(`{"model_type":7}`))
	add("own-code", `model_type "mine" is not supported`, []byte(`{"model_type":"mine","auto_map":{"AutoModel":"evil.py--Model"}}`))
	add("size-null", "vocab_size: found null", only(`"vocab_size":null`))
	add("size-negative", "vocab_size is -1", only(`"vocab_size":-1`))
	add("size-zero-heads", "num_attention_heads is 0", only(`"num_attention_heads":0`))
	add("size-overflow", "vocab_size", only(`"vocab_size":99999999999999999999`))
	add("size-fraction", "hidden_size", only(`"hidden_size":7.5`))
	add("sizes-of-a-galaxy", "parameters", only(`"vocab_size":2147483647,"hidden_size":2147483646,"num_attention_heads":2`))
	add("layers-a-million", "num_hidden_layers is 1000000", only(`"num_hidden_layers":1000000`))
	add("heads-that-do-not-divide", "no multiple", only(`"hidden_size":10,"num_attention_heads":3`))
	add("pad-outside", "pad_token_id 20 is outside", bert(`,"pad_token_id":20`))
	add("labels-a-billion", "want 1 to", bert(`,"num_labels":1000000000`))
	add("labels-none", "id2label or num_labels is 0", bert(`,"id2label":{}`))
	add("dropout-of-two", "hidden_dropout_prob is 2", bert(`,"hidden_dropout_prob":2`))
	add("epsilon-zero", "layer_norm_eps is 0", bert(`,"layer_norm_eps":0`))
	add("epsilon-beyond", "layer_norm_eps", bert(`,"layer_norm_eps":1e999`))
	add("activation-a-command", "hidden_act", bert(`,"hidden_act":"$(rm -rf ~)"`))
	add("decoder", "is_decoder", bert(`,"is_decoder":true`))
	add("claims-larger-tensors", "by config.json", bert(`,"type_vocab_size":70000`))
	return all
}

// indexes are lists of shards that name what they must not.
func indexes() []attack {
	var all []attack
	add := func(name, want, text string) {
		all = append(all, attack{room: "models", name: "index-" + name + ".json", data: []byte(text),
			verb: []string{"model", "inspect", "PATH"}, base: model, as: "model.safetensors.index.json", without: []string{"model.safetensors"}, code: 3, want: want})
	}
	named := func(file string) string {
		text, err := json.Marshal(map[string]map[string]string{"weight_map": {"a": file}})
		if err != nil {
			panic(err) // strings
		}
		return string(text)
	}
	add("up", "no plain file name", named("../secret.safetensors"))
	add("up-and-down", "no plain file name", named("x/../../secret.safetensors"))
	add("absolute", "no plain file name", named("/etc/secret.safetensors"))
	add("backslash", "no plain file name", named(`..\secret.safetensors`))
	add("stream", "no plain file name", named("C:secret.safetensors"))
	add("nul", "invalid argument", named("a\x00.safetensors"))
	add("pickle", "no .safetensors file", named("pytorch_model.bin"))
	add("url", "no plain file name", named("https://example.invalid/m.safetensors"))
	add("absent", "no such file", named("absent.safetensors"))
	add("empty", "names no file", `{"weight_map":{}}`)
	add("list", "cannot unmarshal", `{"weight_map":["a"]}`)
	add("twice", `key "a" comes twice`, `{"weight_map":{"a":"x.safetensors","a":"y.safetensors"}}`)
	for i := range all {
		if name := all[i].name; name == "index-absent.json" || name == "index-nul.json" {
			all[i].says = ".safetensors" // the file that is not there
		}
	}
	return all
}
