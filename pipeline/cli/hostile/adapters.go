package main

import (
	"fmt"
	"math"
	"strings"

	"metalora/models/safetensors"
)

const adapter = "adapters/testdata/all-linear-r4"

// adapterConfigs are adapter_config.json files.
func adapterConfigs() []attack {
	var all []attack
	add := func(name, want, text string) {
		all = append(all, attack{room: "adapters", name: "config-" + name + ".json", data: []byte(text),
			verb: []string{"model", "inspect", "PATH"}, base: adapter, as: "adapter_config.json", code: 3, want: want})
	}
	lora := func(fields string) string { return `{"peft_type":"LORA","lora_alpha":8,` + fields + "}" }
	var many []string
	for i := range 1001 {
		many = append(many, fmt.Sprintf(`"l%d":1`, i))
	}
	add("empty", "unexpected end of JSON", "")
	add("list", "cannot unmarshal array", "[]")
	add("twice", `key "r" comes twice`, lora(`"r":4,"r":8`))
	add("deep", "nested deeper than 100", lora(`"r":4,"loftq_config":`+strings.Repeat("[", 3000)+strings.Repeat("]", 3000)))
	add("other-kind", `peft_type: "IA3" is not supported`, `{"peft_type":"IA3"}`)
	add("rank-zero", `rank of "r": 0`, lora(`"r":0`))
	add("rank-overflow", "r: json", lora(`"r":99999999999999999999`))
	add("rank-huge", `rank of "r"`, lora(`"r":1099511627776`))
	add("rank-text", "r: json", lora(`"r":"4; rm -rf ~"`))
	add("dropout", "lora_dropout", lora(`"r":4,"lora_dropout":-1`))
	add("own-code", "custom_module: ", lora(`"r":4,"custom_module":"evil.py"`))
	add("expression-bomb", "rank_pattern: regular expression", lora(`"r":4,"rank_pattern":{"((((a{100}){100}){100}){100})":4}`))
	add("expression-long", "regular expression of 20000 bytes", lora(`"r":4,"rank_pattern":{"`+strings.Repeat("a|", 10_000)+`":4}`))
	add("patterns-many", "1001 patterns", lora(`"r":4,"rank_pattern":{`+strings.Join(many, ",")+`}`))
	add("start-changes-the-base", "init_lora_weights", lora(`"r":4,"init_lora_weights":"pissa"`))
	add("layers-text", "layers_to_transform", lora(`"r":4,"layers_to_transform":"../0"`))
	return all
}

// adapterWeights are adapter_model.safetensors files.
func adapterWeights() []attack {
	const query = "base_model.model.roberta.encoder.layer.0.attention.self.query"
	var all []attack
	add := func(name, want string, data []byte) {
		all = append(all, attack{room: "adapters", name: "weights-" + name + ".safetensors", data: data,
			verb: []string{"model", "inspect", "PATH"}, base: adapter, as: "adapter_model.safetensors", code: 3, want: want})
	}
	matrix := func(rows, columns int, x float64) safetensors.Tensor {
		data := make([]float32, rows*columns)
		data[len(data)-1] = float32(x)
		return safetensors.Tensor{Shape: []int{rows, columns}, Data: data}
	}
	pair := func(a, b safetensors.Tensor) safetensors.Tensors {
		return safetensors.Tensors{query + ".lora_A.weight": a, query + ".lora_B.weight": b}
	}
	add("nan", "is NaN", encode(pair(matrix(4, 8, 1), matrix(8, 4, math.NaN()))))
	add("other-rank", "want [4 8]", encode(pair(matrix(5, 8, 1), matrix(8, 5, 1))))
	add("half-a-pair", "lora_B is missing", encode(safetensors.Tensors{query + ".lora_A.weight": matrix(4, 8, 1)}))
	add("other-names", "does not start with", encode(safetensors.Tensors{"lora_A.weight": matrix(4, 8, 1)}))
	add("integers", "dtype I32", file("{"+tensor(query+".lora_A.weight", "I32", "1", 0, 4)+"}", 0, 0, 0, 0))
	add("nothing", "no tensor is a LoRA matrix", file("{}"))
	return all
}
