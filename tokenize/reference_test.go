package tokenize

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// robertaFolder unpacks testdata's copy of RoBERTa's tokenizer.
var robertaFolder = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "metalora-tokenize-*")
	if err != nil {
		return "", err
	}
	for _, name := range []string{"vocab.json.gz", "merges.txt.gz", specialFile, configFile} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			return dir, err
		}
		if plain, packed := strings.CutSuffix(name, ".gz"); packed {
			r, err := gzip.NewReader(bytes.NewReader(data))
			if err != nil {
				return dir, err
			}
			if data, err = io.ReadAll(r); err != nil {
				return dir, err
			}
			name = plain
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			return dir, err
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, _ := robertaFolder(); dir != "" {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// roberta is RoBERTa's tokenizer, with an empty cache.
func roberta(t testing.TB) *Tokenizer {
	t.Helper()
	dir, err := robertaFolder()
	if err != nil {
		t.Fatal(err)
	}
	tok, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// pairsOf is a tokenizer's byte-level BPE.
func pairsOf(t testing.TB, tok *Tokenizer) *bytePairs {
	t.Helper()
	b, ok := tok.scheme.(*bytePairs)
	if !ok {
		t.Fatalf("the tokenizer is a %T", tok.scheme)
	}
	return b
}

// shared finds a file beside the project. Without it the tests stand on testdata's goldens alone, but never where CI=true.
func shared(t testing.TB, path string) string {
	t.Helper()
	full := filepath.Join("..", "..", "shared", filepath.FromSlash(path))
	if _, err := os.Stat(full); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("../shared/%s is missing beside the project, and CI=true demands it: %v", path, err)
		}
		t.Skipf("../shared/%s is not beside the project; testdata/hard.jsonl and testdata/pairs.jsonl stand for it", path)
	}
	return full
}

// jsonLines reads a file of one JSON value a line.
func jsonLines[T any](t testing.TB, path string) (rows []T) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for decoder := json.NewDecoder(bytes.NewReader(data)); decoder.More(); {
		var row T
		if err := decoder.Decode(&row); err != nil {
			t.Fatalf("reading %s: %v", path, err)
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		t.Fatalf("reading %s: it is empty", path)
	}
	return rows
}

type encoded struct {
	Text string `json:"text"`
	IDs  []int  `json:"ids"`
}

// checkGoldens compares ids with Hugging Face's, by our way, by the library's whole pipeline, and back to the text.
func checkGoldens(t *testing.T, path string) {
	tok := roberta(t)
	for _, row := range jsonLines[encoded](t, path) {
		if diff := cmp.Diff(row.IDs, tok.Encode(row.Text)); diff != "" {
			t.Errorf("Encode(%+q) (-Hugging Face +ours):\n%s", row.Text, diff)
		}
		if diff := cmp.Diff(row.IDs, pipelineIDs(t, tok, row.Text)); diff != "" {
			t.Errorf("the library's pipeline on %+q (-Hugging Face +ours):\n%s", row.Text, diff)
		}
		if back := tok.Decode(row.IDs); back != row.Text {
			t.Errorf("Decode of %+q gives %+q", row.Text, back)
		}
	}
}

func TestHardStrings(t *testing.T) { checkGoldens(t, "testdata/hard.jsonl") }

func TestCorpusStrings(t *testing.T) {
	checkGoldens(t, shared(t, "reference/tokens/corpus.jsonl"))
}

func TestPairs(t *testing.T) {
	tok := roberta(t)
	rows := jsonLines[struct {
		A, B string
		IDs  []int
	}](t, "testdata/pairs.jsonl")
	for _, row := range rows {
		ids, types := tok.Pair(row.A, row.B)
		if slices.Max(types) != 0 || len(types) != len(ids) {
			t.Errorf("Pair(%+q, %+q): segments %v", row.A, row.B, types)
		}
		if diff := cmp.Diff(row.IDs, ids); diff != "" {
			t.Errorf("Pair(%+q, %+q) (-Hugging Face +ours):\n%s", row.A, row.B, diff)
		}
		first := row.IDs[:len(tok.Encode(row.A))+2]
		if diff := cmp.Diff(first, tok.Single(row.A)); diff != "" {
			t.Errorf("Single(%+q) (-Hugging Face +ours):\n%s", row.A, diff)
		}
	}
}

// utterances are the unique strings of a dialogue file: per turn partner, self and candidates.
func utterances(t testing.TB, path string) (texts []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := map[string]bool{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		_, line, _ := strings.Cut(lines.Text(), " ")
		fields := strings.Split(line, "\t")
		if len(fields) == 1 {
			continue // a persona sentence
		}
		if len(fields) > 3 {
			fields = append(fields[:2:2], strings.Split(fields[3], "|")...)
		}
		for _, text := range fields {
			if !seen[text] {
				seen[text] = true
				texts = append(texts, text)
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return texts
}

// TestCorpusDigest compares every utterance of the validation file by SHA-256, in blocks, so that a difference is near.
func TestCorpusDigest(t *testing.T) {
	var want struct {
		Strings, IDs, Block int
		SHA256              string
		Blocks              []string `json:"block_sha256"`
	}
	data, err := os.ReadFile(shared(t, "reference/tokens/corpus_sha256.json"))
	if err == nil {
		err = json.Unmarshal(data, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	texts := utterances(t, shared(t, "data/convai2/valid_self_original.txt"))
	if len(texts) != want.Strings {
		t.Fatalf("found %d strings, want %d", len(texts), want.Strings)
	}
	tok, whole, block, total := roberta(t), sha256.New(), sha256.New(), 0
	for i, text := range texts {
		ids := tok.Encode(text)
		total += len(ids)
		row := layout(ids)
		whole.Write(row)
		block.Write(row)
		if (i+1)%want.Block == 0 || i+1 == len(texts) {
			if got := hex.EncodeToString(block.Sum(nil)); got != want.Blocks[i/want.Block] {
				t.Errorf("block %d: digest %s, want %s", i/want.Block, got, want.Blocks[i/want.Block])
			}
			block.Reset()
		}
	}
	if got := hex.EncodeToString(whole.Sum(nil)); got != want.SHA256 || total != want.IDs {
		t.Errorf("%d ids with digest %s, want %d with %s", total, got, want.IDs, want.SHA256)
	}
}

// layout is how the digests see the ids of a text: their number, then each, as uint32 in little-endian order.
func layout(ids []int) []byte {
	row := binary.LittleEndian.AppendUint32(nil, uint32(len(ids)))
	for _, id := range ids {
		row = binary.LittleEndian.AppendUint32(row, uint32(id))
	}
	return row
}

// TestVocabularyIsRoBERTas compares testdata's packed copy with the real one.
func TestVocabularyIsRoBERTas(t *testing.T) {
	theirs, err := Load(shared(t, "data/roberta-tokenizer"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(pairsOf(t, theirs).model.vocabulary, pairsOf(t, roberta(t)).model.vocabulary); diff != "" {
		t.Errorf("(-shared +testdata):\n%s", diff)
	}
}
