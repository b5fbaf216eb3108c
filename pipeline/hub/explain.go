package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"syscall"

	"metalora/pipeline/config"
	"metalora/pipeline/download"
	"metalora/pipeline/fault"
)

// explain says what a failed pull means and what to do, and marks it for the exit code: what repeats however often it is
// tried is the input's fault, a network or a full disk is not.
func (c *Client) explain(ctx context.Context, name Name, err error) error {
	status := (*download.StatusError)(nil)
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%w: what has come of %s is kept; the same command goes on", fault.Stopped, name)
	case errors.As(err, &status):
		return c.explainStatus(ctx, name, status)
	case errors.Is(err, download.ErrBytes):
		return fault.Input(fmt.Errorf("pulling %s: %w; nothing of that file was kept: try again, or another HF_ENDPOINT", name, err))
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("pulling %s: %w; make room, or name a folder on another disk by HF_HUB_CACHE; the same command goes on", name, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("pulling %s: %w; name a cache folder of your own by HF_HUB_CACHE", name, err)
	case errors.Is(err, download.Unreachable):
		return fmt.Errorf("pulling %s: %w; what has come is kept: the same command goes on. Behind a mirror set HF_ENDPOINT, behind a proxy HTTPS_PROXY", name, err)
	}
	return fmt.Errorf("pulling %s: %w", name, err)
}

// explainStatus reads the hub's answers. It answers 401 for a model that does not exist, as for one that is private.
func (c *Client) explainStatus(ctx context.Context, name Name, e *download.StatusError) error {
	switch {
	case e.Code == "GatedRepo" && c.Token == "":
		return fault.Input(fmt.Errorf("%s is gated: ask for access at %s/%s, then set HF_TOKEN to a token of your account (%w)", name, c.Endpoint, name.Repo, e))
	case e.Code == "GatedRepo":
		return fault.Input(fmt.Errorf("%s is gated and your token has no access yet: ask for it at %s/%s (%w)", name, c.Endpoint, name.Repo, e))
	case strings.Contains(e.Message, "Invalid credentials"):
		return fault.Input(fmt.Errorf("the hub does not take the token of HF_TOKEN or of `hf auth login`: make a new one at %s/settings/tokens (%w)", c.Endpoint, e))
	case e.Code == "RevisionNotFound":
		return fault.Input(fmt.Errorf("%s has no revision %q: see %s/%s/tree/main (%w)", name.Repo, name.Revision, c.Endpoint, name.Repo, e))
	case e.Status == http.StatusUnauthorized || e.Status == http.StatusNotFound || e.Code == "RepoNotFound":
		return fault.Input(fmt.Errorf("the hub has no model %s%s (%w)", name.Repo, c.suggest(ctx, name), e))
	case e.Status == http.StatusForbidden:
		return fault.Input(fmt.Errorf("%s may not be read with this token: give one with the right to read it in HF_TOKEN (%w)", name, e))
	case e.Status == http.StatusTooManyRequests:
		return fmt.Errorf("pulling %s: the hub is asked too often from here: try again later, or with HF_TOKEN, which may ask more often (%w)", name, e)
	}
	return fmt.Errorf("pulling %s: %w; what has come is kept: try again later", name, e)
}

// known are models of the families that metalora trains, for names that are nearly right.
var known = []string{
	"roberta-base", "roberta-large", "FacebookAI/roberta-base", "FacebookAI/roberta-large", "distilroberta-base",
	"bert-base-uncased", "bert-base-cased", "bert-large-uncased", "google-bert/bert-base-uncased", "distilbert-base-uncased",
	"xlm-roberta-base", "FacebookAI/xlm-roberta-base", "microsoft/MiniLM-L12-H384-uncased", "nreimers/MiniLM-L6-H384-uncased",
}

// suggest ends a message about a name that the hub does not know: what it finds by that word, or the nearest known name. A
// private model looks like one that does not exist.
func (c *Client) suggest(ctx context.Context, name Name) string {
	word := path.Base(name.Repo)
	data, _, err := c.Download.Small(ctx, c.Endpoint+"/api/models?limit=3&search="+url.QueryEscape(word), 1<<20)
	var hits []struct {
		ID string `json:"id"`
	}
	if err == nil && json.Unmarshal(data, &hits) == nil && len(hits) > 0 {
		var ids []string
		for _, h := range hits {
			ids = append(ids, fmt.Sprintf("%q", h.ID))
		}
		return "; it has " + strings.Join(ids, ", ")
	}
	if near := config.Suggest(name.Repo, known); strings.Contains(near, "did you mean") {
		return near
	}
	if c.Token == "" {
		return "; if it is private, set HF_TOKEN"
	}
	return ""
}
