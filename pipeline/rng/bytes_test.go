package rng

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// AES-128 of 0 and of 1 under a key of zeros, as NIST's SP 800-38A and the first test case of GCM (SP 800-38D) have them.
func TestBytesKnownAnswers(t *testing.T) {
	const want = "66e94bd4ef8a2c3b884cfa59ca342b2e58e2fccefa7e3061367f1d57a4e7455a"
	got := new(Stream).Bytes().Next(2 * BytesBlock)
	if hex.EncodeToString(got) != want {
		t.Errorf("got %x, want %s", got, want)
	}
}

func TestBytesHangOnTheName(t *testing.T) {
	a, b := New(1, "a").Bytes().Next(BytesBlock), New(1, "b").Bytes().Next(BytesBlock)
	if bytes.Equal(a, b) {
		t.Errorf("streams of two names begin with %x", a)
	}
}

func TestSeekContinuesTheBytes(t *testing.T) {
	all := New(7, "a", 1).Bytes().Next(MostBytes)
	for n := range MostBytes / BytesBlock {
		b, want := New(7, "a", 1).Bytes(), all[n*BytesBlock:]
		b.Seek(uint64(n))
		rest := bytes.Clone(b.Next(len(want) / 3))
		rest = append(rest, b.Next(len(want)-len(rest))...)
		if !bytes.Equal(rest, want) {
			t.Fatalf("after Seek(%d) others come", n)
		}
	}
}
