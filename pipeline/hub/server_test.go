package hub

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

// stored is a file on the server.
type stored struct {
	data  []byte
	large bool // in large-file storage: the hub redirects to another host
}

func (s stored) sum() string {
	if s.large {
		h := sha256.Sum256(s.data)
		return hex.EncodeToString(h[:])
	}
	h := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(s.data)), s.data...))
	return hex.EncodeToString(h[:])
}

// server behaves as the hub and its storage do: the API with sums, files with ETag and X-Repo-Commit, large ones by a
// redirect to another host that knows ranges and refuses requests that bear a token.
type server struct {
	t     *testing.T
	repo  string
	files map[string]stored

	gated    bool   // only with this token
	token    string //
	bare     bool   // a mirror: no sums in the API
	noRanges bool
	wrong    bool // storage sends other bytes than announced
	cuts     int  // so many storage answers end after half of what they should send
	busy     int  // so many answers are 429
	after    string

	mutex   sync.Mutex
	asked   []string // method and path of each request to the hub
	ranges  []string // Range of each request to storage
	storage *httptest.Server
	*httptest.Server
}

func serve(t *testing.T, s *server) *server {
	s.t = t
	s.storage = httptest.NewServer(http.HandlerFunc(s.store))
	s.Server = httptest.NewServer(http.HandlerFunc(s.hub))
	t.Cleanup(s.storage.Close)
	t.Cleanup(s.Server.Close)
	return s
}

// model is what a hub holds of a small model, with files that metalora does not read.
func model() map[string]stored {
	weights := make([]byte, 300_000)
	for i := range weights {
		weights[i] = byte(i * i >> 7)
	}
	return map[string]stored{
		"config.json": {data: []byte(`{"model_type":"roberta"}`)}, "vocab.json": {data: []byte("{}")}, "merges.txt": {data: []byte("#version: 0.2\n")},
		"README.md": {data: []byte("# model")}, "pytorch_model.bin": {data: weights, large: true}, "onnx/model.onnx": {data: weights, large: true},
		"model.safetensors": {data: weights, large: true},
	}
}

func (s *server) refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("X-Error-Code", code)
	w.Header().Set("X-Error-Message", message)
	w.WriteHeader(status)
}

func (s *server) hub(w http.ResponseWriter, r *http.Request) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.asked = append(s.asked, r.Method+" "+r.URL.Path)
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	path, isAPI := strings.CutPrefix(r.URL.EscapedPath(), "/api/models")
	switch {
	case s.busy > 0:
		s.busy--
		w.Header().Set("Retry-After", s.after)
		s.refuse(w, http.StatusTooManyRequests, "", "too many requests")
	case isAPI && path == "":
		fmt.Fprint(w, `[{"id":"org/near"}]`)
	case token != "" && s.token != "" && token != s.token:
		s.refuse(w, http.StatusUnauthorized, "", "Invalid credentials in Authorization header")
	case !strings.HasPrefix(path, "/"+s.repo+"/"):
		s.refuse(w, http.StatusUnauthorized, "RepoNotFound", "Invalid username or password.") // as the hub does without a token
	case s.gated && token == "":
		s.refuse(w, http.StatusUnauthorized, "GatedRepo", "Access to model is restricted.")
	case isAPI && path == "/"+s.repo+"/revision/gone":
		s.refuse(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: gone")
	case isAPI:
		s.describe(w)
	default:
		s.resolve(w, r, strings.TrimPrefix(path, "/"+s.repo+"/resolve/"+commit+"/"))
	}
}

func (s *server) describe(w http.ResponseWriter) {
	d := map[string]any{"id": s.repo, "sha": commit}
	var siblings []map[string]any
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		f, e := s.files[name], map[string]any{"rfilename": name}
		if !s.bare {
			e["size"], e["blobId"] = len(f.data), "a-git-pointer"
			if f.large {
				e["lfs"] = map[string]any{"sha256": f.sum(), "size": len(f.data), "pointerSize": 134}
			} else {
				e["blobId"] = f.sum()
			}
		}
		siblings = append(siblings, e)
	}
	d["siblings"] = siblings
	json.NewEncoder(w).Encode(d)
}

func (s *server) resolve(w http.ResponseWriter, r *http.Request, name string) {
	f, ok := s.files[name]
	if !ok {
		s.refuse(w, http.StatusNotFound, "EntryNotFound", "Entry not found")
		return
	}
	w.Header().Set("X-Repo-Commit", commit)
	if !f.large {
		w.Header().Set("ETag", `"`+f.sum()+`"`)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(f.data)))
		return
	}
	w.Header().Set("X-Linked-Etag", `"`+f.sum()+`"`)
	w.Header().Set("X-Linked-Size", strconv.Itoa(len(f.data)))
	w.Header().Set("Location", s.storage.URL+"/"+name+"?signature=secret")
	w.WriteHeader(http.StatusFound)
}

// store is large-file storage on another host.
func (s *server) store(w http.ResponseWriter, r *http.Request) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if r.Header.Get("Authorization") != "" {
		s.t.Errorf("the token was sent to storage")
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.ranges = append(s.ranges, r.Header.Get("Range"))
	data := s.files[strings.TrimPrefix(r.URL.Path, "/")].data
	if s.wrong {
		data = make([]byte, len(data))
	}
	start := 0
	if from := r.Header.Get("Range"); from != "" && !s.noRanges {
		start, _ = strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(from, "bytes="), "-"))
		if start >= len(data) {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, len(data)-1, len(data)))
	}
	rest := data[start:]
	w.Header().Set("Content-Length", strconv.Itoa(len(rest)))
	if start > 0 {
		w.WriteHeader(http.StatusPartialContent)
	}
	if s.cuts > 0 {
		s.cuts--
		w.Write(rest[:len(rest)/2])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	w.Write(rest)
}
