package pipeline

import (
	"path/filepath"
	"testing"

	"metalora/models"
	"metalora/tokenize"
)

// TestInitFamilies: a base of each family starts from random weights, has the family's class and head, and builds; what names no
// family is a RoBERTa, with the identity that it always had.
func TestInitFamilies(t *testing.T) {
	folder, _, err := writeSmallBase(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	tokenizer, err := tokenize.Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	const shape = `hidden: 8, layers: 2, heads: 2, positions: 40`
	for family, class := range map[string]string{"": "RobertaModel", "roberta": "RobertaModel", "xlm-roberta": "XLMRobertaModel", "bert": "BertModel", "distilbert": "DistilBertModel"} {
		t.Run(family, func(t *testing.T) {
			named := shape
			if family != "" {
				named += ", family: " + family
			}
			c, err := Parse("init.yaml", []byte("name: x\ndata: {train: a, valid: b}\nmodel: {tokenizer: "+filepath.ToSlash(folder)+", init: {"+named+"}}\n"), nil)
			if err != nil {
				t.Fatal(err)
			}
			base, err := loadBase(c, tokenizer, 1)
			if err != nil {
				t.Fatal(err)
			}
			cfg := base.Architecture.(models.Config)
			if got := cfg.Class(false); got != class || cfg.VocabSize != tokenizer.Size() || !models.HasHead(cfg, base.Tensors) {
				t.Errorf("%s, %d words", got, cfg.VocabSize)
			}
			if _, err := cfg.Forward(models.Dropout{Hidden: 0.1, Attention: 0.1, Head: 0.1}); err != nil {
				t.Error(err)
			}
			settings := map[string]any{}
			c.baseSettings(settings, &Inputs{})
			if _, said := settings["model.init.family"]; said != (class != "RobertaModel") {
				t.Errorf("settings %v", settings)
			}
		})
	}
}
