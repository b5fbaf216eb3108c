// Package hub finds and fetches models of Hugging Face's hub in the cache that Python's huggingface_hub uses, so that what one
// of them fetched the other finds.
//
//	<cache>/models--org--name/
//	    refs/main                      the commit that a branch or tag was at
//	    blobs/<sum>                    files by their sum: SHA-256, or git's SHA-1 of small ones
//	    snapshots/<commit>/config.json -> ../../blobs/<sum>
//
// [Cache.Find] needs no network. [Client.Pull] fetches only what metalora reads: configuration, safetensors, tokenizer.
package hub

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"metalora/pipeline/download"
)

// Settings are where models come from and where they go, as huggingface_hub's environment variables say it.
type Settings struct {
	Cache    string // HF_HUB_CACHE, or hub in HF_HOME, or ~/.cache/huggingface/hub
	Endpoint string // HF_ENDPOINT, or https://huggingface.co; without a slash at its end
	Token    string // HF_TOKEN, or the file that `hf auth login` leaves; "": none
	Offline  bool   // HF_HUB_OFFLINE
}

// DefaultEndpoint is where the hub is.
const DefaultEndpoint = "https://huggingface.co"

// FromEnvironment reads the settings.
func FromEnvironment() Settings {
	home := expand(first(os.Getenv("HF_HOME"), filepath.Join(first(os.Getenv("XDG_CACHE_HOME"), "~/.cache"), "huggingface")))
	s := Settings{
		Cache:    expand(first(os.Getenv("HF_HUB_CACHE"), os.Getenv("HUGGINGFACE_HUB_CACHE"), filepath.Join(home, "hub"))),
		Endpoint: strings.TrimRight(first(os.Getenv("HF_ENDPOINT"), DefaultEndpoint), "/"),
		Token:    strings.TrimSpace(first(os.Getenv("HF_TOKEN"), os.Getenv("HUGGING_FACE_HUB_TOKEN"))),
		Offline:  truth(first(os.Getenv("HF_HUB_OFFLINE"), os.Getenv("TRANSFORMERS_OFFLINE"))),
	}
	if s.Token == "" {
		saved, err := os.ReadFile(expand(first(os.Getenv("HF_TOKEN_PATH"), filepath.Join(home, "token"))))
		if err == nil {
			s.Token = strings.TrimSpace(string(saved))
		}
	}
	return s
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// expand replaces variables and a leading ~, as Python's expanduser and expandvars do.
func expand(path string) string {
	path = os.ExpandEnv(path)
	if rest, ok := strings.CutPrefix(path, "~"); ok && (rest == "" || os.IsPathSeparator(rest[0])) {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	return path
}

// truth reads a switch as huggingface_hub does.
func truth(text string) bool {
	switch strings.ToUpper(text) {
	case "1", "ON", "YES", "TRUE":
		return true
	}
	return false
}

// Client pulls models.
type Client struct {
	Settings
	Download download.Client // its token is the settings'
	Workers  int             // files at a time; default 4
}

// NewClient makes a client of the settings.
func NewClient(s Settings) *Client {
	c := &Client{Settings: s, Workers: 4}
	if u, err := url.Parse(s.Endpoint); err == nil {
		c.Download.Token, c.Download.TokenFor = s.Token, u.Scheme+"://"+u.Host
	}
	return c
}
