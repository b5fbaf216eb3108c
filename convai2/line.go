package convai2

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	selfMark    = "your persona:"
	partnerMark = "partner's persona:"
)

// parser is the state between two lines of a file: the dialogue that grows and how far it has come.
type parser struct {
	name    string // of the file
	line    int    // of the file, from 1
	number  int    // the last line's own number in its dialogue
	bytes   int    // of the dialogue so far
	found   int    // dialogues begun
	current *Dialogue
}

// add takes in one line. A line numbered 1 begins a dialogue and so completes the one before, which is returned.
func (p *parser) add(line []byte) (done *Dialogue, err error) {
	if p.line == 1 {
		line = bytes.TrimPrefix(line, byteOrderMark)
	}
	if !utf8.Valid(line) {
		return nil, errors.New("text is not valid UTF-8")
	}
	number, text, err := splitNumber(string(line))
	if err != nil {
		return nil, err
	}
	if number == 1 {
		if done, err = p.begin(); err != nil {
			return nil, err
		}
	} else if number != p.number+1 || p.current == nil {
		return nil, fmt.Errorf("line is numbered %d, want %s", number, p.expected())
	}
	p.number = number
	if p.bytes += len(line); p.bytes > MaxDialogue {
		return nil, fmt.Errorf("dialogue longer than %d bytes", MaxDialogue)
	}
	return done, p.content(text)
}

func (p *parser) expected() string {
	if p.current == nil {
		return "1"
	}
	return fmt.Sprintf("%d, or 1 for a new dialogue", p.number+1)
}

// begin opens a dialogue and returns the one before it, nil at the start of a file.
func (p *parser) begin() (*Dialogue, error) {
	done := p.current
	if done != nil {
		if err := p.complete(); err != nil {
			return nil, err
		}
	}
	p.current = &Dialogue{Index: p.found, Line: p.line, File: p.name}
	p.found++
	p.bytes = 0
	return done, nil
}

func (p *parser) complete() error {
	if len(p.current.Turns) == 0 {
		return fmt.Errorf("dialogue that begins in line %d ends without a turn", p.current.Line)
	}
	return nil
}

// content files the text after the number: a turn where it has a tab, else a persona sentence.
func (p *parser) content(text string) error {
	if strings.Contains(text, "\t") {
		turn, err := parseTurn(text)
		if err != nil {
			return err
		}
		if len(p.current.Turns) == MaxTurns {
			return fmt.Errorf("dialogue longer than %d turns", MaxTurns)
		}
		turn.Line = p.line
		p.current.Turns = append(p.current.Turns, turn)
		return nil
	}
	persona := &p.current.Persona
	sentence, ok := strings.CutPrefix(text, selfMark)
	if !ok {
		persona = &p.current.PartnerPersona
		if sentence, ok = strings.CutPrefix(text, partnerMark); !ok {
			return errors.New("neither a persona sentence nor a turn: no tab between partner and reply")
		}
	}
	if sentence = strings.TrimSpace(sentence); sentence == "" {
		return errors.New("empty persona sentence")
	}
	if len(p.current.Turns) > 0 {
		return errors.New("persona sentence after the first turn")
	}
	*persona = append(*persona, sentence)
	return nil
}

// splitNumber takes "12 text" apart.
func splitNumber(line string) (int, string, error) {
	if line == "" {
		return 0, "", errors.New("empty line")
	}
	digits, text, ok := strings.Cut(line, " ")
	if strings.Trim(digits, "0123456789") != "" || digits == "" {
		return 0, "", fmt.Errorf("line begins with %s, want its number and a blank", quote(digits))
	}
	number, err := strconv.Atoi(digits)
	if err != nil || number < 1 || digits[0] == '0' {
		return 0, "", fmt.Errorf("line is numbered %s", quote(digits))
	}
	if !ok || text == "" {
		return 0, "", errors.New("truncated line: nothing after its number")
	}
	return number, text, nil
}

// parseTurn takes PARTNER <tab> SELF apart, or PARTNER <tab> SELF <tab><tab> C1|C2|… (the third column is ParlAI's reward,
// empty in ConvAI2).
func parseTurn(text string) (Turn, error) {
	fields := strings.Split(text, "\t")
	turn := Turn{Partner: fields[0], Self: fields[1]}
	switch {
	case len(fields) != 2 && len(fields) != 4:
		return turn, fmt.Errorf("turn has %d columns, want 2, or 4 with candidates", len(fields))
	case strings.TrimSpace(turn.Partner) == "":
		return turn, fmt.Errorf("empty utterance of the partner (%s where the persona speaks first)", Silence)
	case strings.TrimSpace(turn.Self) == "":
		return turn, errors.New("empty reply")
	case len(fields) == 2:
		return turn, nil
	case fields[2] != "":
		return turn, fmt.Errorf("third column holds %s, want it empty", quote(fields[2]))
	}
	turn.Candidates = strings.Split(fields[3], "|")
	for i, c := range turn.Candidates {
		if strings.TrimSpace(c) == "" {
			return turn, fmt.Errorf("candidate %d is empty", i+1)
		}
	}
	if !slices.Contains(turn.Candidates, turn.Self) {
		return turn, errMissingReply(turn)
	}
	return turn, nil
}

func errMissingReply(t Turn) error {
	return fmt.Errorf("reply %s is not among the %d candidates", quote(t.Self), len(t.Candidates))
}

// quote shows a text in a message, its beginning only.
func quote(text string) string {
	const most = 40
	if runes := []rune(text); len(runes) > most {
		return strconv.Quote(string(runes[:most])) + "…"
	}
	return strconv.Quote(text)
}
