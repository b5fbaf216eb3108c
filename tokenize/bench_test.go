package tokenize

import "testing"

// benchmarkTexts are the 7,622 different utterances of the validation file's first 60 dialogues.
func benchmarkTexts(b *testing.B) (texts []string) {
	for _, row := range jsonLines[encoded](b, shared(b, "reference/tokens/corpus.jsonl")) {
		texts = append(texts, row.Text)
	}
	return texts
}

// BenchmarkEncode tokenizes 60 dialogues: "cold" with an empty cache each time, as at a program's
// start, "warm" with the words remembered.
func BenchmarkEncode(b *testing.B) {
	texts := benchmarkTexts(b)
	run := func(b *testing.B, warm bool) {
		tok, tokens := roberta(b), 0
		for b.Loop() {
			if !warm {
				pairsOf(b, tok).known.ids = nil
			}
			for _, text := range texts {
				tokens += len(tok.Encode(text))
			}
		}
		b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
	}
	b.Run("cold", func(b *testing.B) { run(b, false) })
	b.Run("warm", func(b *testing.B) { run(b, true) })
}

// BenchmarkTurn makes the batch of one turn: a context of 200 words, 20 candidates.
func BenchmarkTurn(b *testing.B) {
	texts := benchmarkTexts(b)
	context := ""
	for _, text := range texts[:20] {
		context += text
	}
	tok, tokens := roberta(b), 0
	for b.Loop() {
		batch, err := tok.Turn(context, texts[20:40], 0)
		if err != nil {
			b.Fatal(err)
		}
		tokens += batch.Tokens
	}
	b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
}

// BenchmarkLoad reads RoBERTa's vocabulary.
func BenchmarkLoad(b *testing.B) {
	dir, err := robertaFolder()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Load(dir); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTrain makes a vocabulary of 2,000 tokens from the 7,622 utterances.
func BenchmarkTrain(b *testing.B) {
	texts := benchmarkTexts(b)
	for b.Loop() {
		train(b, 2000, texts...)
	}
}
