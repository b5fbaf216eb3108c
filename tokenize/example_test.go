package tokenize_test

import (
	"fmt"
	"os"
	"slices"

	"metalora/tokenize"
)

// A vocabulary of one's own: trained, written as Hugging Face has it, and read again.
func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	texts := []string{"i like dogs", "i like cats", "do you like dogs ?"}
	vocabulary, err := tokenize.Train(slices.Values(texts), 270)
	if err == nil {
		err = vocabulary.WriteFiles(dir)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	tok, err := tokenize.Load(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	batch, err := tok.Turn("you ?", []string{"i like dogs", "i like it"}, 0)
	fmt.Println(batch.Rows, "x", batch.Length, "ids,", batch.Tokens, "of them tokens;", err)
	ids, _ := tok.Pair("you ?", "i like dogs")
	fmt.Println(tok.Decode(ids))
	// Output:
	// 2 x 14 ids, 26 of them tokens; <nil>
	// <s>you ?</s><s>i like dogs</s>
}
