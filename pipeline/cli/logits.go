package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"metalora/onnx/ort"
	"metalora/pipeline"
	"metalora/pipeline/fault"
)

func (p *program) logits() *cobra.Command {
	var model, adapter, ids string
	var threads int
	var device ort.Device
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "logits --model DIR [--adapter DIR] --ids FILE",
		Short: "Run rows of token ids through a model",
		Long: `Logits reads rows of token ids, a line each: [0,…,2], or {"ids":[…],"types":[…]} with segment ids. It writes a line of logits for each. Every id stands
under mask 1, pads too. A model without a classification head is refused.`,
		Example: `  metalora tokenize --model DIR --pair --json pairs.tsv > ids.jsonl
  metalora logits --model DIR --adapter ADAPTER --ids ids.jsonl --json`,
		Args: takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if model == "" || ids == "" {
				return fault.Usage(errors.New("logits needs --model DIR and --ids FILE (see metalora logits --help)"))
			}
			in, name, err := p.open([]string{ids})
			if err != nil {
				return err
			}
			defer in.Close()
			scorer, err := pipeline.OpenScorer(model, adapter, threads, device)
			if err != nil {
				return err
			}
			defer scorer.Close()
			p.notes(scorer.Notes)
			return eachLine(in, name, func(number int, line string) error {
				ids, types, err := parseRow(line)
				if err != nil {
					return fault.Input(fmt.Errorf("%s:%d: %w", name, number, err))
				}
				logits, err := scorer.Logits(cmd.Context(), ids, types)
				if err != nil {
					return fmt.Errorf("%s:%d: %w", name, number, err)
				}
				if asJSON {
					return p.json(logits)
				}
				p.printf("%v\n", logits)
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&model, "model", "", "Hugging Face `folder`, .onnx file, or a name that 'model pull' fetched")
	f.StringVar(&adapter, "adapter", "", "PEFT adapter `folder`")
	f.StringVar(&ids, "ids", "", "`file` of rows, - for standard input")
	f.IntVar(&threads, "threads", 0, "threads of the engine; 0: all cores")
	f.StringVar((*string)(&device), "device", string(ort.CPU), "cpu or cuda (docs/gpu.md)")
	f.BoolVar(&asJSON, "json", false, "write a JSON list a line")
	return cmd
}

// parseRow reads a row of ids, alone or with segment ids.
func parseRow(line string) (ids, types []int, err error) {
	row := struct{ IDs, Types []int }{}
	var into any = &row.IDs
	if data := bytes.TrimSpace([]byte(line)); len(data) > 0 && data[0] == '{' {
		into = &row
	}
	decoder := json.NewDecoder(bytes.NewReader([]byte(line)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return nil, nil, fmt.Errorf("want [id,…] or {\"ids\":[…],\"types\":[…]}: %w", err)
	}
	return row.IDs, row.Types, nil
}
