package hub

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"metalora/pipeline/fault"
)

// told collects what a pull says.
type told struct {
	mutex       sync.Mutex
	total, done int64
	notes       []string
}

func (p *told) Expect(total int64) { p.total = total }

func (p *told) Advance(n int64) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.done += n
}

func (p *told) Note(text string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.notes = append(p.notes, text)
}

func (s *server) client(cache string) *Client {
	c := NewClient(Settings{Cache: cache, Endpoint: s.URL, Token: s.token})
	c.Download.Pause = time.Millisecond
	return c
}

var read = []string{"config.json", "merges.txt", "model.safetensors", "vocab.json"}

// whole checks a snapshot: the files that are read and no other, with the server's bytes, and nothing half beside them.
func (s *server) whole(t *testing.T, cache, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil || string(data) != string(s.files[e.Name()].data) {
			t.Errorf("%s has other bytes than the server's (%v)", e.Name(), err)
		}
	}
	if d := cmp.Diff(read, names); d != "" {
		t.Errorf("files: %s", d)
	}
	if half, _ := filepath.Glob(filepath.Join(cache, "*", "blobs", "*.incomplete")); len(half) > 0 {
		t.Errorf("%v was left behind", half)
	}
}

// TestPull fetches from servers with different habits; each ends with the same files.
func TestPull(t *testing.T) {
	for name, s := range map[string]*server{
		"plain":            {},
		"mirror":           {bare: true},
		"with a token":     {gated: true, token: "hf_secret"},
		"cut connections":  {cuts: 3},
		"cut, no ranges":   {cuts: 2, noRanges: true},
		"busy for a while": {busy: 2, after: "0"},
	} {
		t.Run(name, func(t *testing.T) {
			s.repo, s.files = "org/tiny", model()
			serve(t, s)
			cache, p := t.TempDir(), &told{}
			got, err := s.client(cache).Pull(t.Context(), Name{"org/tiny", "main"}, p)
			if err != nil {
				t.Fatal(err)
			}
			s.whole(t, cache, got.Dir)
			if p.total != got.Bytes || p.done != p.total || got.Fetched != len(read) {
				t.Errorf("%d of %d bytes were counted, the files have %d; %d fetched", p.done, p.total, got.Bytes, got.Fetched)
			}
			if link, err := os.Readlink(filepath.Join(got.Dir, "model.safetensors")); err != nil || link != "../../blobs/"+s.files["model.safetensors"].sum() {
				t.Errorf("the snapshot links to %q, %v", link, err)
			}
			if ref, _ := os.ReadFile(filepath.Join(cache, "models--org--tiny", "refs", "main")); string(ref) != commit {
				t.Errorf("refs/main is %q", ref)
			}
			if s.cuts != 0 || s.busy != 0 {
				t.Errorf("%d cuts and %d refusals did not happen", s.cuts, s.busy)
			}
			again, err := s.client(cache).Pull(t.Context(), Name{"org/tiny", "main"}, &told{})
			if err != nil || again.Fetched != 0 || again.Dir != got.Dir {
				t.Errorf("a second pull: %+v, %v", again, err)
			}
		})
	}
}

// TestResume goes on with what an earlier process left, right or wrong.
func TestResume(t *testing.T) {
	for name, c := range map[string]struct {
		part   func(whole []byte) []byte
		ranges []string
	}{
		"half":       {func(b []byte) []byte { return b[:1000] }, []string{"bytes=1000-"}},
		"all":        {func(b []byte) []byte { return b }, nil},
		"other half": {func(b []byte) []byte { return make([]byte, 1000) }, []string{"bytes=1000-", ""}},
		"too long":   {func(b []byte) []byte { return append(slices.Clone(b), 1) }, []string{"bytes=300001-", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, &server{repo: "tiny", files: model()})
			cache := t.TempDir()
			weights := s.files["model.safetensors"]
			blobs := filepath.Join(cache, "models--tiny", "blobs")
			if err := os.MkdirAll(blobs, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(blobs, weights.sum()+".incomplete"), c.part(weights.data), 0o644); err != nil {
				t.Fatal(err)
			}
			p := &told{}
			got, err := s.client(cache).Pull(t.Context(), Name{"tiny", "main"}, p)
			if err != nil {
				t.Fatal(err)
			}
			s.whole(t, cache, got.Dir)
			if p.done != p.total {
				t.Errorf("%d of %d bytes were counted", p.done, p.total)
			}
			if d := cmp.Diff(c.ranges, s.ranges); d != "" {
				t.Errorf("ranges asked for: %s", d)
			}
		})
	}
}

// TestPullErrors checks what each failure says, its exit code, and that no file is in place that is not whole.
func TestPullErrors(t *testing.T) {
	for name, c := range map[string]struct {
		server *server
		model  Name
		cache  func(t *testing.T, s *server, cache string)
		code   int
		want   string
	}{
		"unknown":            {model: Name{"org/other", "main"}, code: 3, want: `the hub has no model org/other; it has "org/near"`},
		"unknown revision":   {model: Name{"org/tiny", "gone"}, code: 3, want: `no revision "gone"`},
		"gated":              {server: &server{gated: true}, code: 3, want: "set HF_TOKEN"},
		"wrong bytes":        {server: &server{wrong: true}, code: 3, want: "not those that were announced"},
		"busy":               {server: &server{busy: 1, after: "7200"}, code: 1, want: "try again in 2h0m0s"},
		"busy for ever":      {server: &server{busy: 99}, code: 1, want: "asked too often"},
		"cut for ever":       {server: &server{cuts: 99, noRanges: true}, code: 1, want: "the same command goes on"},
		"only PyTorch's":     {server: &server{files: map[string]stored{"config.json": {}, "pytorch_model.bin": {}}}, code: 3, want: "save_pretrained"},
		"no model":           {server: &server{files: map[string]stored{"README.md": {}}}, code: 3, want: "no config.json"},
		"full disk":          {cache: fullDisk, code: 1, want: "make room"},
		"cache is no folder": {cache: noFolder, code: 1, want: "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.cache != nil && runtime.GOOS != "linux" {
				t.Skip("needs /dev/full")
			}
			s := c.server
			if s == nil {
				s = &server{}
			}
			s.repo = "org/tiny"
			if s.files == nil {
				s.files = model()
			}
			serve(t, s)
			cache := filepath.Join(t.TempDir(), "hub")
			if c.cache != nil {
				c.cache(t, s, cache)
			}
			if c.model.Repo == "" {
				c.model = Name{"org/tiny", "main"}
			}
			_, err := s.client(cache).Pull(t.Context(), c.model, &told{})
			if fault.Code(err) != c.code || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("exit code %d, want %d; message, which should have %q:\n%v", fault.Code(err), c.code, c.want, err)
			}
			if err != nil && strings.Contains(err.Error(), "signature") {
				t.Errorf("the message shows a signed address: %v", err)
			}
			if _, err := s.client(cache).Find(c.model); err == nil {
				t.Error("the cache says that it has the model")
			}
			if blob, _ := os.ReadFile(filepath.Join(cache, "models--org--tiny", "blobs", s.files["model.safetensors"].sum())); len(blob) > 0 {
				t.Error("weights were put in place")
			}
		})
	}
}

// fullDisk makes writing the weights fail as on a full disk.
func fullDisk(t *testing.T, s *server, cache string) {
	part := filepath.Join(cache, "models--org--tiny", "blobs", s.files["model.safetensors"].sum()+".incomplete")
	if err := errors.Join(os.MkdirAll(filepath.Dir(part), 0o755), os.Symlink("/dev/full", part)); err != nil {
		t.Fatal(err)
	}
}

func noFolder(t *testing.T, _ *server, cache string) {
	if err := os.WriteFile(cache, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestWrongToken is refused by name, without showing the token.
func TestWrongToken(t *testing.T) {
	s := serve(t, &server{repo: "tiny", files: model(), token: "right"})
	c := NewClient(Settings{Cache: t.TempDir(), Endpoint: s.URL, Token: "hf_wrong"})
	_, err := c.Pull(t.Context(), Name{"tiny", "main"}, &told{})
	if fault.Code(err) != fault.CodeInput || !strings.Contains(err.Error(), "does not take the token") || strings.Contains(err.Error(), "hf_wrong") {
		t.Errorf("%v", err)
	}
}

// TestWithoutNetwork finds what is in the cache, and says what is not.
func TestWithoutNetwork(t *testing.T) {
	s := serve(t, &server{repo: "org/tiny", files: model()})
	cache := t.TempDir()
	name := Name{"org/tiny", "main"}
	got, err := s.client(cache).Pull(t.Context(), name, &told{})
	if err != nil {
		t.Fatal(err)
	}
	s.Server.Close()
	asked := len(s.asked)
	c := s.client(cache)
	if again, err := c.Pull(t.Context(), name, &told{}); err != nil || again.Dir != got.Dir || again.Bytes != got.Bytes {
		t.Errorf("without a server: %+v, %v", again, err)
	}
	c.Offline = true
	if again, err := c.Pull(t.Context(), name, &told{}); err != nil || again.Dir != got.Dir || len(s.asked) != asked {
		t.Errorf("offline: %+v, %v", again, err)
	}
	steps := []struct {
		want  string
		spoil func() error
	}{
		{"the bytes of model.safetensors are missing", func() error {
			return os.Remove(filepath.Join(cache, "models--org--tiny", "blobs", s.files["model.safetensors"].sum()))
		}},
		{"was not fetched", func() error { return os.RemoveAll(got.Dir) }},
		{"refs/main names no commit", func() error {
			return os.WriteFile(filepath.Join(cache, "models--org--tiny", "refs", "main"), []byte("../../.."), 0o600)
		}},
		{"nothing of it was fetched", func() error { return os.RemoveAll(filepath.Join(cache, "models--org--tiny")) }},
	}
	for _, step := range steps {
		if err := step.spoil(); err != nil {
			t.Fatal(err)
		}
		_, err := c.Pull(t.Context(), name, &told{})
		if fault.Code(err) != fault.CodeInput || !strings.Contains(err.Error(), step.want) || !strings.Contains(err.Error(), "metalora model pull org/tiny") {
			t.Errorf("want %q and what to do in: %v", step.want, err)
		}
	}
}

// TestStop ends a pull that hangs, with what came kept.
func TestStop(t *testing.T) {
	s := serve(t, &server{repo: "tiny", files: model(), busy: 99, after: "60"})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	ctx, stop := context.WithCancel(ctx)
	time.AfterFunc(20*time.Millisecond, stop)
	_, err := s.client(t.TempDir()).Pull(ctx, Name{"tiny", "main"}, &told{})
	if fault.Code(err) != fault.CodeStopped {
		t.Errorf("%v", err)
	}
}

// TestTogether has three processes' worth of clients pull the same model at once: each file comes once.
func TestTogether(t *testing.T) {
	s := serve(t, &server{repo: "tiny", files: model()})
	cache := t.TempDir()
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if got, err := s.client(cache).Pull(t.Context(), Name{"tiny", "main"}, &told{}); err != nil {
				t.Error(err)
			} else {
				s.whole(t, cache, got.Dir)
			}
		})
	}
	all.Wait()
	if len(s.ranges) != 1 {
		t.Errorf("the weights were asked for %d times", len(s.ranges))
	}
}

// TestPlaceTogether links one blob from many sides at once: whoever is done finds the file, at once and later.
func TestPlaceTogether(t *testing.T) {
	dir := t.TempDir()
	blob := filepath.Join(dir, "blobs", "sum")
	if err := errors.Join(os.Mkdir(filepath.Dir(blob), 0o700), os.WriteFile(blob, []byte("{}"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		path := filepath.Join(dir, "snapshots", strconv.Itoa(i), "config.json")
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if err := place(blob, path); err != nil {
					t.Error(err)
				}
				for range 20 {
					if _, err := os.ReadFile(path); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
	}
}
