package convai2

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"

	"metalora/pipeline/confined"
)

// Bounds of what a reader takes into memory. The longest line of the official files has 1,500 bytes, the longest dialogue
// some 30,000 bytes in 25 turns.
const (
	MaxLine     = 1 << 20  // bytes of a line
	MaxDialogue = 16 << 20 // bytes of a dialogue
	MaxTurns    = 10_000   // turns of a dialogue
)

var byteOrderMark = []byte("\xef\xbb\xbf")

// Dialogues reads a file in the official ConvAI2 line format, one dialogue in memory at a time. The first error ends the
// sequence, as (nil, error); it names the file as name, the line, and what is wrong there. Lines end with "\n" or "\r\n";
// the last one may lack it. A file that is empty has no dialogues.
func Dialogues(r io.Reader, name string) iter.Seq2[*Dialogue, error] {
	return func(yield func(*Dialogue, error) bool) {
		p := parser{name: name}
		lines := bufio.NewReaderSize(r, 64<<10)
		for {
			line, err := nextLine(lines)
			if err == io.EOF {
				break
			}
			p.line++
			var done *Dialogue
			if err == nil {
				done, err = p.add(line)
			}
			if err != nil {
				yield(nil, fmt.Errorf("%s:%d: %w", name, p.line, err))
				return
			}
			if done != nil && !yield(done, nil) {
				return
			}
		}
		p.finish(yield)
	}
}

// finish hands out the last dialogue of a file.
func (p *parser) finish(yield func(*Dialogue, error) bool) {
	if p.current == nil {
		return
	}
	if err := p.complete(); err != nil {
		yield(nil, fmt.Errorf("%s:%d: %w", p.name, p.line, err))
		return
	}
	yield(p.current, nil)
}

// nextLine reads one line of at most MaxLine bytes, without its end. io.EOF: there is none.
func nextLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > MaxLine {
			return nil, fmt.Errorf("line longer than %d bytes", MaxLine)
		}
		line = append(line, part...)
		switch {
		case err == nil || err == io.EOF && len(line) > 0:
			return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// ReadFile reads every dialogue of a file. A file without any is an error.
func ReadFile(path string) ([]*Dialogue, error) {
	f, err := confined.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading dialogues: %w", err)
	}
	defer f.Close()
	var all []*Dialogue
	for d, err := range Dialogues(f, path) {
		if err != nil {
			return nil, fmt.Errorf("reading dialogues: %w", err)
		}
		all = append(all, d)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("reading dialogues: %s: no dialogue in it", path)
	}
	return all, nil
}
