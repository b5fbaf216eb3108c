package bench

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"metalora/tokenize"
)

// corpus is every text of a folder's validation file: persona sentences, what is said, candidates. It is read when it is first
// needed.
type corpus struct {
	data      string // see [PeerOptions]
	tokenizer *tokenize.Tokenizer
	texts     []string
}

// encode makes the ids of every text, one after another, and says how long that takes.
func (c *corpus) encode() (seconds float64, tokens int, err error) {
	if c.texts == nil {
		if err := c.read(); err != nil {
			return 0, 0, err
		}
	}
	start := time.Now()
	for _, text := range c.texts {
		tokens += len(c.tokenizer.Encode(text))
	}
	return time.Since(start).Seconds(), tokens, nil
}

func (c *corpus) read() (err error) {
	if c.tokenizer, err = tokenize.Load(filepath.Join(c.data, "roberta-tokenizer")); err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(c.data, "convai2", "valid_self_original.txt"))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		_, rest, _ := strings.Cut(strings.TrimRight(line, "\n"), " ")
		c.texts = append(c.texts, strings.FieldsFunc(rest, func(r rune) bool { return r == '\t' || r == '|' })...)
	}
	return nil
}
