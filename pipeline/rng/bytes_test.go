package rng

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// AES-128 of 0 and of 1 under a key of zeros, as NIST's SP 800-38A and the first test case of GCM (SP 800-38D) have them.
func TestBytesKnownAnswers(t *testing.T) {
	const want = "66e94bd4ef8a2c3b884cfa59ca342b2e58e2fccefa7e3061367f1d57a4e7455a"
	got := make([]byte, 2*BytesBlock)
	new(Stream).Bytes().Fill(got)
	if hex.EncodeToString(got) != want {
		t.Errorf("got %x, want %s", got, want)
	}
}

func TestBytesHangOnTheName(t *testing.T) {
	a, b := make([]byte, BytesBlock), make([]byte, BytesBlock)
	New(1, "a").Bytes().Fill(a)
	New(1, "b").Bytes().Fill(b)
	if bytes.Equal(a, b) {
		t.Errorf("streams of two names begin with %x", a)
	}
}

func TestSeekContinuesTheBytes(t *testing.T) {
	all := make([]byte, 40*BytesBlock)
	New(7, "a", 1).Bytes().Fill(all)
	for n := range 40 {
		b, rest := New(7, "a", 1).Bytes(), make([]byte, 40*BytesBlock)
		b.Seek(uint64(n))
		rest = rest[n*BytesBlock:]
		b.Fill(rest[:len(rest)/3])
		b.Fill(rest[len(rest)/3:])
		if !bytes.Equal(rest, all[n*BytesBlock:]) {
			t.Fatalf("after Seek(%d) others come", n)
		}
	}
}
