package pipeline

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"metalora/adapters"
	"metalora/eval"
	"metalora/pipeline/corpus"
	"metalora/pipeline/disk"
)

// cardFile is what the hub shows of a folder: a page whose front matter programs read.
const cardFile = "README.md"

// card is what people should know of an adapter.
type card struct {
	base    string // as the adapter names it
	task    string // what it was trained for
	data    string // where the dialogues are from
	licence string // of the data, as the hub writes it; "": not known
	lora    adapters.LoRA
	turns   int // that it was trained on
	cut     int
	heldOut eval.Metrics
}

// cardHead is a card's front matter, in the names of the hub's model cards.
type cardHead struct {
	BaseModel  string      `yaml:"base_model"`
	Library    string      `yaml:"library_name"`
	Pipeline   string      `yaml:"pipeline_tag"`
	Licence    string      `yaml:"license"`
	Tags       []string    `yaml:"tags,flow"`
	ModelIndex []cardIndex `yaml:"model-index"`
}

type cardIndex struct {
	Name    string       `yaml:"name"`
	Results []cardResult `yaml:"results"`
}

type cardResult struct {
	Task    cardTask     `yaml:"task"`
	Dataset cardDataset  `yaml:"dataset"`
	Metrics []cardMetric `yaml:"metrics"`
}

type cardTask struct {
	Type string `yaml:"type"`
	Name string `yaml:"name"`
}

type cardDataset struct {
	Type string `yaml:"type"`
	Name string `yaml:"name"`
}

type cardMetric struct {
	Type  string  `yaml:"type"`
	Name  string  `yaml:"name"`
	Value float64 `yaml:"value"`
}

// rankingTask is what every adapter here is trained for.
const rankingTask = "next-utterance ranking"

func (c card) head() cardHead {
	h := c.heldOut
	licence := c.licence
	if licence == "" {
		licence = "unknown"
	}
	return cardHead{BaseModel: c.base, Library: "peft", Pipeline: "text-classification", Licence: licence,
		Tags: []string{"lora", "peft", "metalora", "dialogue"},
		ModelIndex: []cardIndex{{Name: c.task, Results: []cardResult{{
			Task: cardTask{"text-classification", rankingTask}, Dataset: cardDataset{"dialogues", c.data},
			Metrics: []cardMetric{{"accuracy", "accuracy (hits@1)", h.Accuracy}, {"hits@5", "hits@5", h.Hits5}, {"mrr", "mean reciprocal rank", h.MRR}},
		}}}}}
}

// write writes the card into an adapter's folder.
func (c card) write(dir string) error {
	var text bytes.Buffer
	text.WriteString("---\n")
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(c.head()); err != nil {
		return fmt.Errorf("writing the model card: %w", err)
	}
	text.WriteString("---\n\n" + c.text())
	return disk.Replace(filepath.Join(dir, cardFile), func(w io.Writer) error {
		_, err := w.Write(text.Bytes())
		return err
	})
}

func (c card) text() string {
	layers := "every linear layer of the encoder"
	if len(c.lora.Targets) > 0 {
		layers = strings.Join(c.lora.Targets, ", ")
	}
	licence := "not known: it was not given when this adapter was made. Ask whoever made the dialogues before you pass it on."
	if c.licence != "" {
		licence = c.licence + "."
	}
	h := c.heldOut
	lines := []string{
		"# " + c.task, "",
		fmt.Sprintf("A LoRA adapter and a classification head for `%s` that rank candidates for the next utterance of a dialogue: for each pair of", c.base),
		"what was said so far and a candidate, the logit of label 1 is its score.", "",
		"| | |", "|---|---|",
		row("base", "`"+c.base+"`"), row("task", rankingTask), row("data", c.data), row("licence of the data", licence),
		row("rank, alpha, dropout", fmt.Sprintf("%d, %g, %g", c.lora.Rank, c.lora.Alpha, c.lora.Dropout)), row("layers", layers),
		row("trained on", fmt.Sprintf("%d turns (%d pairs were cut to fit)", c.turns, c.cut)),
		row("measured on", fmt.Sprintf("%d held-out turns, guessing gets %.1f %%", h.Turns, 100*h.Chance)),
		row("accuracy, hits@5, MRR", fmt.Sprintf("%.1f %%, %.1f %%, %.3f", 100*h.Accuracy, 100*h.Hits5, h.MRR)), "",
		"It is a folder of Hugging Face's PEFT:", "",
		"```python", "from peft import PeftModel", "from transformers import AutoModelForSequenceClassification", "",
		fmt.Sprintf("base = AutoModelForSequenceClassification.from_pretrained(%q)", c.base),
		`model = PeftModel.from_pretrained(base, "THIS_FOLDER")`, "```", "",
		fmt.Sprintf("and of metalora: `metalora predict --model %s --adapter THIS_FOLDER dialogues.txt`.", c.base), "",
	}
	return strings.Join(lines, "\n")
}

// row is a row of the card's table; what a user named must not end a cell.
func row(name, value string) string {
	return "| " + name + " | " + strings.ReplaceAll(strings.Join(strings.Fields(value), " "), "|", `\|`) + " |"
}

// card is the adaptation's, with what it got.
func (a *adaptation) card(base string, r *Result) card {
	c := card{base: base, task: fmt.Sprintf("%s, %s", a.config.Name, a.family), lora: a.lora, turns: r.TrainTurns, cut: r.Cut}
	if r.Task != "" {
		c.task += " on " + r.Task
	}
	if len(r.Epochs) > 0 {
		c.heldOut = r.Epochs[len(r.Epochs)-1].HeldOut
	}
	c.data, c.licence = a.config.dataAndLicence()
	if a.licence != "" {
		c.licence = a.licence
	}
	return c
}

// dataAndLicence say what the test tasks' dialogues are, as far as their name tells.
func (c *Config) dataAndLicence() (data, licence string) {
	if c.Synthetic != nil {
		return "dialogues made up by metalora", "apache-2.0"
	}
	path, _ := c.File(c.Tasks.Test.File)
	name := filepath.Base(path)
	for _, known := range []string{corpus.ConvAI2.Train, corpus.ConvAI2.Valid, corpus.ConvAI2.Name} {
		if name == filepath.Base(known) {
			return "ConvAI2, " + name, "cc-by-4.0"
		}
	}
	return name, ""
}
