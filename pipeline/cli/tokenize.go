package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"metalora/models"
	"metalora/pipeline/fault"
	"metalora/pipeline/hub"
	"metalora/tokenize"
)

// maxLine bounds a line of text to tokenize.
const maxLine = 64 << 20

func (p *program) tokenize() *cobra.Command {
	var dir string
	var pair, types, asJSON bool
	cmd := &cobra.Command{
		Use:   "tokenize --model DIR [FILE]",
		Short: "Turn lines of text into token ids",
		Long: `Tokenize writes the ids of each line of FILE or standard input: <s> a </s>, and with --pair <s> a </s><s> b </s>, or in BERT's
form [CLS] a [SEP] and [CLS] a [SEP] b [SEP]; --types adds the segment ids that BERT reads, in the form that logits takes. A line
ends at the line feed alone, so a carriage return is text, and special tokens that stand in a text are text too.`,
		Example: `  echo 'hello there' | metalora tokenize --model models/roberta-base --json
  metalora tokenize --model models/roberta-base --pair pairs.tsv`,
		Args: takes(1, "FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.tokenizeLines(dir, args, pair, types, asJSON)
		},
	}
	cmd.Flags().StringVar(&dir, "model", "", "`folder` with the tokenizer's files (weights need not be there), or a name in the hub's cache")
	cmd.Flags().BoolVar(&pair, "pair", false, "lines have two columns with a tab between")
	cmd.Flags().BoolVar(&types, "types", false, "write {\"ids\":[…],\"types\":[…]} a line")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write a JSON list a line")
	return cmd
}

// tokenizeLines writes the ids of each line of a file or of standard input.
func (p *program) tokenizeLines(dir string, args []string, pair, types, asJSON bool) error {
	if dir == "" {
		return fault.Usage(errors.New("tokenize needs --model DIR, a folder with a tokenizer"))
	}
	folder, err := hub.Locate(dir)
	if err != nil {
		return err
	}
	t, err := tokenize.Load(folder)
	if err != nil {
		return fault.Input(err)
	}
	in, name, err := p.open(args)
	if err != nil {
		return err
	}
	defer in.Close()
	segmented := readsSegments(folder)
	return eachLine(in, name, func(number int, line string) error {
		ids, segments, err := encode(t, line, pair)
		if err != nil {
			return fault.Input(fmt.Errorf("%s:%d: %w", name, number, err))
		}
		if !segmented {
			clear(segments)
		}
		return p.ids(ids, segments, types, asJSON)
	})
}

// ids writes one line of them: with their segments, as JSON, or plain.
func (p *program) ids(ids, segments []int, types, asJSON bool) error {
	switch {
	case types:
		return p.json(map[string][]int{"ids": ids, "types": segments})
	case asJSON:
		return p.json(ids)
	}
	p.printf("%s\n", strings.Trim(fmt.Sprint(ids), "[]"))
	return nil
}

// readsSegments tells whether the model of a folder looks segment ids up. Where a folder says nothing, its tokenizer is taken at its word.
func readsSegments(folder string) bool {
	a, err := models.ReadArchitecture(folder)
	return err != nil || a.Limits().Segments > 0
}

func encode(t *tokenize.Tokenizer, line string, pair bool) (ids, types []int, err error) {
	if !pair {
		ids = t.Single(line)
		return ids, make([]int, len(ids)), nil
	}
	columns := strings.Split(line, "\t")
	if len(columns) != 2 {
		return nil, nil, fmt.Errorf("%d columns, want 2 with a tab between", len(columns))
	}
	ids, types = t.Pair(columns[0], columns[1])
	return ids, types, nil
}

// eachLine calls a function with every line, numbered from 1. Only a line feed ends a line; the last one may lack it.
func eachLine(r io.Reader, name string, line func(number int, text string) error) error {
	in := bufio.NewReaderSize(r, 1<<16)
	for number := 1; ; number++ {
		text, err := readLine(in)
		if errors.Is(err, io.EOF) && text == "" {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fault.Input(fmt.Errorf("reading %s:%d: %w", name, number, err))
		}
		if err := line(number, strings.TrimSuffix(text, "\n")); err != nil {
			return err
		}
	}
}

// readLine reads up to and with the next line feed.
func readLine(in *bufio.Reader) (string, error) {
	var line strings.Builder
	for {
		piece, err := in.ReadSlice('\n')
		line.Write(piece)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line.String(), err
		}
		if line.Len() > maxLine {
			return "", fmt.Errorf("the line has more than %d bytes", maxLine)
		}
	}
}
