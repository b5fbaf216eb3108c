package corpus

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"metalora/pipeline/download"
	"metalora/pipeline/fault"
)

type file struct {
	name, text string
	kind       byte
}

var whole = []file{{name: "./", kind: tar.TypeDir}, {name: "./train_self_original.txt", text: "1 hello\n"}, {name: "valid_self_original.txt", text: "1 hi\n"},
	{name: "./._valid_self_original.txt", text: "attributes"}}

// packed is a .tgz of files.
func packed(t *testing.T, files ...file) []byte {
	t.Helper()
	var data bytes.Buffer
	z := gzip.NewWriter(&data)
	w := tar.NewWriter(z)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Typeflag: f.kind, Mode: 0o777, Size: int64(len(f.text))}
		if f.kind == 0 {
			h.Typeflag = tar.TypeReg
		}
		if f.kind == tar.TypeSymlink || f.kind == tar.TypeLink {
			h.Linkname, h.Size = "/etc/passwd", 0
		}
		err := w.WriteHeader(h)
		if err == nil && h.Size > 0 {
			_, err = w.Write([]byte(f.text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return data.Bytes()
}

// of is ConvAI2 with another archive.
func of(archive []byte) Corpus {
	c, sum := ConvAI2, sha256.Sum256(archive)
	c.SHA256 = hex.EncodeToString(sum[:])
	return c
}

// TestPull takes the archive from a server that cuts the first connection, from a mirror and from a file.
func TestPull(t *testing.T) {
	archive := packed(t, whole...)
	cut := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/official" {
			http.Redirect(w, r, "/data.tgz", http.StatusMovedPermanently)
			return
		}
		if cut {
			cut = false
			w.Header().Set("Content-Length", "1000")
			w.Write(archive[:50])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(archive))
	}))
	defer server.Close()
	local := filepath.Join(t.TempDir(), "have.tgz")
	if err := os.WriteFile(local, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]string{"official": "", "mirror": server.URL + "/mirror.tgz", "file": local} {
		t.Run(name, func(t *testing.T) {
			c := of(archive)
			c.URL = server.URL + "/official"
			dir := filepath.Join(t.TempDir(), "deep", "convai2")
			client := &download.Client{Pause: time.Millisecond}
			for range 2 {
				if err := c.Pull(t.Context(), client, from, dir, nil); err != nil {
					t.Fatal(err)
				}
				client.Transport = http.NewFileTransport(http.Dir(t.TempDir())) // the second time nothing is asked
			}
			if data, _ := os.ReadFile(filepath.Join(dir, c.Train)); string(data) != "1 hello\n" {
				t.Errorf("the train file is %q", data)
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), "*")); len(left) != 1 {
				t.Errorf("beside it lie %v", left)
			}
		})
	}
	if cut {
		t.Error("no connection was cut")
	}
}

// TestPullErrors checks exit codes and messages, and that nothing is left that looks whole.
func TestPullErrors(t *testing.T) {
	good := packed(t, whole...)
	for name, c := range map[string]struct {
		archive []byte
		corpus  func(Corpus) Corpus
		status  int
		code    int
		want    string
	}{
		"wrong bytes":    {archive: good, corpus: func(c Corpus) Corpus { c.SHA256 = ConvAI2.SHA256; return c }, code: 3, want: "not those that were announced"},
		"gone":           {status: 404, code: 3, want: "--from"},
		"out of order":   {status: 503, code: 1, want: "the same command goes on"},
		"a link":         {archive: packed(t, append(whole, file{name: "x", kind: tar.TypeSymlink})...), code: 3, want: `"x" is no regular file`},
		"a hard link":    {archive: packed(t, file{name: "train_self_original.txt", kind: tar.TypeLink}), code: 3, want: "no regular file"},
		"twice":          {archive: packed(t, append(whole, file{name: "a/valid_self_original.txt", text: "x"})...), code: 3, want: "file exists"},
		"a file lacks":   {archive: packed(t, whole[:2]...), code: 3, want: "lacks valid_self_original.txt"},
		"no archive":     {archive: []byte("<html>"), code: 3, want: "not one of dialogue files"},
		"outside":        {archive: packed(t, append(whole, file{name: "../../evil.txt", text: "x"})...), code: 0},
		"a dot for name": {archive: packed(t, append(whole, file{name: "..", text: "x"})...), code: 1},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if c.status != 0 {
					w.WriteHeader(c.status)
					return
				}
				w.Write(c.archive)
			}))
			defer server.Close()
			corpus := of(c.archive)
			if c.corpus != nil {
				corpus = c.corpus(corpus)
			}
			corpus.URL = server.URL
			top := t.TempDir()
			dir := filepath.Join(top, "cache", "data", "convai2")
			err := corpus.Pull(t.Context(), &download.Client{Pause: time.Microsecond}, "", dir, nil)
			if fault.Code(err) != c.code || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("exit code %d, want %d: %v, want %q in it", fault.Code(err), c.code, err, c.want)
			}
			if _, there := os.Stat(dir); (there == nil) != (err == nil) {
				t.Errorf("the folder is there: %v; error: %v", there == nil, err)
			}
			if out, _ := filepath.Glob(filepath.Join(top, "*")); len(out) != 1 {
				t.Errorf("outside the cache lies %v", out)
			}
		})
	}
}

// TestBounds ends an archive that unpacks to more than it should.
func TestBounds(t *testing.T) {
	archive := packed(t, file{name: "a", text: strings.Repeat("x", 1000)}, file{name: "b", text: "y"})
	for name, c := range map[string]struct {
		files int
		bytes int64
		fails bool
	}{"enough": {2, 1001, false}, "bytes": {2, 1000, true}, "files": {1, 5000, true}} {
		t.Run(name, func(t *testing.T) {
			root, err := os.OpenRoot(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			if err := extract(bytes.NewReader(archive), root, c.files, c.bytes); errors.Is(err, errHostile) != c.fails {
				t.Error(err)
			}
		})
	}
}

func TestLocate(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the cache is elsewhere")
	}
	t.Setenv("XDG_CACHE_HOME", "/c")
	t.Chdir(t.TempDir())
	if err := os.Mkdir("convai2", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"convai2": "/c/metalora/data/convai2/valid_self_original.txt", "my.txt": "my.txt", "": ""} {
		if got := Locate(name, false); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	if err := errors.Join(os.Remove("convai2"), os.WriteFile("convai2", nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if got := Locate("convai2", true); got != "convai2" {
		t.Errorf("a file of that name: %q", got)
	}
	if _, err := Named("convai"); fault.Code(err) != fault.CodeUsage || !strings.Contains(err.Error(), `did you mean "convai2"`) {
		t.Error(err)
	}
}

// FuzzExtract: whatever an archive holds, files stay in the folder and within the bounds.
func FuzzExtract(f *testing.F) {
	var data bytes.Buffer
	z := gzip.NewWriter(&data)
	w := tar.NewWriter(z)
	w.WriteHeader(&tar.Header{Name: "../x", Typeflag: tar.TypeReg, Size: 1})
	w.Write([]byte("x"))
	w.Close()
	z.Close()
	f.Add(data.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		top := t.TempDir()
		dir := filepath.Join(top, "in")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		_ = extract(bytes.NewReader(data), root, 3, 1000)
		if out, _ := os.ReadDir(top); len(out) != 1 {
			t.Errorf("outside lies %v", out)
		}
		if in, _ := os.ReadDir(dir); len(in) > 3 {
			t.Errorf("%d files", len(in))
		}
	})
}
