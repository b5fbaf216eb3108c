package convai2

import (
	"bytes"
	"testing"
)

func BenchmarkDialogues(b *testing.B) {
	_, test, err := Generate(Synthetic{})
	if err != nil {
		b.Fatal(err)
	}
	var file bytes.Buffer
	if err := Write(&file, test); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(file.Len()))
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range Dialogues(bytes.NewReader(file.Bytes()), "benchmark") {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
