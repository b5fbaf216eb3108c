package terminal

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode"
)

func TestPlain(t *testing.T) {
	for text, want := range map[string]string{
		"plain\ttext\nétoile 星 😀":  "plain\ttext\nétoile 星 😀",
		"\x1b]0;title\x07":         `\u001b]0;title\u0007`,
		"\x1b[2J\r\b\x7f":          `\u001b[2J\u000d\u0008\u007f`,
		"\u009b31m\u202eabc\u2066": `\u009b31m\u202eabc\u2066`,
		"a\xff\x9bb":               "a\ufffd\ufffdb",
		"\u2028\u200f":             `\u2028\u200f`,
	} {
		if got := Plain(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

// FuzzWriter: however a text is cut into writes, what comes out is what Plain makes of the whole, no character of it commands,
// and a JSON document says the same as before.
func FuzzWriter(f *testing.F) {
	f.Add([]byte("\x1b[31mé\u009b星\u202e\xff"), uint8(1))
	f.Add([]byte{0xe6, 0x98}, uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, cut uint8) {
		var out bytes.Buffer
		w := Writer(&out)
		write := func(part []byte) {
			if n, err := w.Write(part); n != len(part) || err != nil {
				t.Fatalf("wrote %d of %d, error %v", n, len(part), err)
			}
		}
		for rest := append(bytes.Clone(data), '\n'); len(rest) > 0; {
			n := min(len(rest), int(cut)+1)
			write(rest[:n])
			rest = rest[n:]
		}
		if want := Plain(string(data) + "\n"); out.String() != want {
			t.Errorf("%q came out as %q, want %q", data, out.String(), want)
		}
		for _, r := range out.String() {
			if r != '\n' && r != '\t' && unicode.IsControl(r) {
				t.Errorf("%q came out as %q", data, out.String())
			}
		}
		text := string(bytes.ToValidUTF8(data, []byte("?")))
		document, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		var again string
		if err := json.Unmarshal([]byte(Plain(string(document))), &again); err != nil || again != text {
			t.Errorf("%q reads as %q, error %v", text, again, err)
		}
	})
}
