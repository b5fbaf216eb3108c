package tokenize

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"metalora/pipeline/confined"
)

// parseVocabulary reads the object {"token": id, …} of vocab.json. It goes through the object entry by entry, because
// json.Unmarshal keeps the last of two equal tokens and says nothing.
func parseVocabulary(data []byte) (map[string]int, error) {
	if n := confined.Count(data); n > maxIDs {
		return nil, fmt.Errorf("%d entries, and a vocabulary may have %d", n, maxIDs)
	}
	r := &entries{json.NewDecoder(bytes.NewReader(data)), data}
	r.UseNumber()
	if open, err := r.Token(); err != nil || open != json.Delim('{') {
		return nil, r.fail(0, fmt.Errorf("the file is no object of tokens and ids: %w", wrong(err, open)))
	}
	likely := min(len(data)/16, 1<<16) // entries: RoBERTa's take 16 bytes each
	ids, tokens := make(map[string]int, likely), make(map[int]string, likely)
	for entry := 1; r.More(); entry++ {
		token, id, err := r.next()
		if err != nil {
			return nil, r.fail(entry, err)
		}
		if _, twice := ids[token]; twice {
			return nil, r.fail(entry, fmt.Errorf("token %q stands there twice", token))
		}
		if other, twice := tokens[id]; twice {
			return nil, r.fail(entry, fmt.Errorf("tokens %q and %q share the id %d", other, token, id))
		}
		ids[token], tokens[id] = id, token
	}
	if _, err := r.Token(); err != nil {
		return nil, r.fail(len(ids)+1, wrong(err, nil))
	}
	if after, err := r.Token(); !errors.Is(err, io.EOF) {
		return nil, r.fail(len(ids)+1, fmt.Errorf("behind the object: %w", wrong(err, after)))
	}
	return ids, nil
}

// entries walks through an object's entries and knows the line it is in.
type entries struct {
	*json.Decoder
	data []byte
}

// next reads one token and its id.
func (r *entries) next() (token string, id int, err error) {
	key, err := r.Token()
	if err != nil {
		return "", 0, wrong(err, nil)
	}
	token = key.(string) // the decoder itself refuses other keys
	value, err := r.Token()
	if err != nil {
		return "", 0, wrong(err, nil)
	}
	number, ok := value.(json.Number)
	if !ok {
		return "", 0, fmt.Errorf("token %q: %v is no id", token, value)
	}
	id, err = strconv.Atoi(number.String())
	if err != nil || id < 0 || id >= maxIDs {
		return "", 0, fmt.Errorf("token %q: id %v is no whole number from 0 to %d", token, value, maxIDs-1)
	}
	return token, id, nil
}

// fail adds the place of an error: the line, and the entry because many such files are one line.
func (r *entries) fail(entry int, err error) error {
	line := 1 + bytes.Count(r.data[:r.InputOffset()], []byte("\n"))
	if entry == 0 {
		return fmt.Errorf("line %d: %w", line, err)
	}
	return fmt.Errorf("line %d, entry %d: %w", line, entry, err)
}

// wrong says what was found where something else had to be.
func wrong(err error, found any) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the file ends too early")
	case err != nil:
		return err
	}
	return fmt.Errorf("found %v", found)
}

// parseMerges reads merges.txt: "left right" in each line, the first to merge first, below an optional "#version" line.
// It gives the merges and the number of the line that the first one stands in.
func parseMerges(data []byte) (merges [][2]string, first int, err error) {
	first = 1
	if n := bytes.Count(data, []byte("\n")); n > maxIDs+1 {
		return nil, 0, fmt.Errorf("%d lines, and a vocabulary may have %d merges", n, maxIDs)
	}
	text := string(data)
	if strings.HasPrefix(text, "#version") {
		_, text, _ = strings.Cut(text, "\n")
		first = 2
	}
	text = strings.TrimRight(text, "\r\n")
	if text == "" {
		return nil, first, nil
	}
	for line := range strings.SplitSeq(text, "\n") {
		merge, err := parseMerge(strings.TrimSuffix(line, "\r"))
		if err != nil {
			return nil, 0, fmt.Errorf("line %d: %w", first+len(merges), err)
		}
		merges = append(merges, merge)
	}
	return merges, first, nil
}

// parseMerge reads "left right".
func parseMerge(text string) ([2]string, error) {
	left, right, ok := strings.Cut(text, " ")
	if !ok || left == "" || right == "" || strings.Contains(right, " ") {
		return [2]string{}, fmt.Errorf("%.80q is no pair of tokens with a blank between", text)
	}
	return [2]string{left, right}, nil
}

// parseLines reads vocab.txt: a token a line, whose number, from 0, is the id. A carriage return before the line feed
// belongs to the line's end.
func parseLines(data []byte) (map[string]int, error) {
	data = bytes.TrimSuffix(data, []byte("\n"))
	n := bytes.Count(data, []byte("\n")) + 1
	if n > maxIDs {
		return nil, fmt.Errorf("%d lines, want at most %d", n, maxIDs)
	}
	ids := make(map[string]int, min(n, 1<<16))
	for line := range strings.SplitSeq(string(data), "\n") {
		token := strings.TrimSuffix(line, "\r")
		if token == "" {
			return nil, fmt.Errorf("line %d: its token is empty", len(ids)+1)
		}
		if other, twice := ids[token]; twice {
			return nil, fmt.Errorf("line %d: token %q stands in line %d too", len(ids)+1, token, other+1)
		}
		ids[token] = len(ids)
	}
	return ids, nil
}
