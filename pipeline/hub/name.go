package hub

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"metalora/pipeline/fault"
)

// Name is a model on the hub at a revision: "roberta-base", "org/name@v1.0".
type Name struct {
	Repo     string // name or org/name
	Revision string // a branch, tag or commit; "main" where none is given
}

var (
	repoForm     = regexp.MustCompile(`^(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9_][\w.-]*$`)
	revisionForm = regexp.MustCompile(`^[\w][\w.-]*(?:/[\w][\w.-]*)*$`)
	commitForm   = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// ParseName reads NAME[@revision]. The rules are the hub's: letters, digits, "-", "_" and ".", at most 96 of them, and neither
// "--" nor "..", which the cache's folders could not tell apart.
func ParseName(text string) (Name, error) {
	repo, revision, given := strings.Cut(text, "@")
	if !given {
		revision = "main"
	}
	if !repoForm.MatchString(repo) || len(repo) > 96 || strings.Contains(repo, "--") || strings.Contains(repo, "..") || strings.HasSuffix(repo, ".git") {
		return Name{}, fault.Usage(fmt.Errorf("%q is no name of a model on the hub: NAME, ORG/NAME or ORG/NAME@REVISION", text))
	}
	if !revisionForm.MatchString(revision) || strings.Contains(revision, "..") {
		return Name{}, fault.Usage(fmt.Errorf("%q in %q is no revision: a branch, a tag or a commit", revision, text))
	}
	return Name{repo, revision}, nil
}

// String is the name that [ParseName] reads.
func (n Name) String() string {
	if n.Revision == "main" {
		return n.Repo
	}
	return n.Repo + "@" + n.Revision
}

// folder is the cache's name for the model.
func (n Name) folder() string { return "models--" + strings.ReplaceAll(n.Repo, "/", "--") }

// Locate turns what a user calls a model into a folder or file: a path that exists is itself, a name is looked up in the cache
// without a network. A text that is neither is returned as it is, for its reader to say what is missing.
func Locate(path string) (string, error) {
	if _, err := os.Stat(path); err == nil || path == "" {
		return path, nil
	}
	name, err := ParseName(path)
	if err != nil {
		return path, nil
	}
	snapshot, err := FromEnvironment().Find(name)
	if err != nil {
		return "", fault.Input(fmt.Errorf("there is no file or folder %s here, and %w", path, err))
	}
	return snapshot, nil
}
