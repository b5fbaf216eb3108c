package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"metalora/pipeline/download"
)

// description is what the hub's API says of a model at a revision (GET /api/models/NAME/revision/REVISION?blobs=true).
type description struct {
	Commit string  `json:"sha"`
	Files  []entry `json:"siblings"`
}

// entry is one file of it. Mirrors leave the sums out; then the file's own headers have them.
type entry struct {
	Path string `json:"rfilename"`
	Size int64  `json:"size"`
	Blob string `json:"blobId"`
	LFS  *struct {
		SHA256 string `json:"sha256"`
		Size   int64  `json:"size"`
	} `json:"lfs"`
}

// mostDescription bounds a description, in bytes: a thousand files take some 200 kB.
const mostDescription = 32 << 20

// describe asks the hub.
func (c *Client) describe(ctx context.Context, name Name) (*description, error) {
	address := c.Endpoint + "/api/models/" + name.Repo + "/revision/" + url.PathEscape(name.Revision) + "?blobs=true"
	data, _, err := c.Download.Small(ctx, address, mostDescription)
	if err != nil {
		return nil, err
	}
	d, err := parseDescription(data)
	if err != nil {
		return nil, fmt.Errorf("%s gives no description of a model (is %s a hub?): %w", address, c.Endpoint, err)
	}
	return d, nil
}

func parseDescription(data []byte) (*description, error) {
	var d description
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, err
	}
	if !commitForm.MatchString(d.Commit) {
		return nil, fmt.Errorf("%q is no commit", d.Commit)
	}
	for _, f := range d.Files {
		if f.Size < 0 || f.LFS != nil && f.LFS.Size < 0 {
			return nil, fmt.Errorf("%q has a negative size", f.Path)
		}
	}
	return &d, nil
}

// names lists the files of the description.
func (d *description) names() []string {
	var names []string
	for _, f := range d.Files {
		names = append(names, f.Path)
	}
	return names
}

// file says where one of the chosen files is and where it goes.
func (c *Client) file(ctx context.Context, name Name, d *description, path string) (download.File, error) {
	f := download.File{URL: c.Endpoint + "/" + name.Repo + "/resolve/" + d.Commit + "/" + url.PathEscape(path)}
	for _, e := range d.Files {
		if e.Path != path {
			continue
		}
		f.Size, f.Sum = e.Size, download.Sum(e.Blob)
		if e.LFS != nil {
			f.Size, f.Sum = e.LFS.Size, download.Sum(e.LFS.SHA256)
		}
	}
	if f.Sum == "" {
		if err := c.headers(ctx, &f); err != nil {
			return f, err
		}
	}
	if !f.Sum.Valid() {
		return f, fmt.Errorf("%s has the sum %q, neither a SHA-256 nor git's", f.URL, f.Sum)
	}
	f.Path = filepath.Join(c.Cache, name.folder(), "blobs", string(f.Sum))
	return f, nil
}

// headers takes size and sum from the file's own headers: X-Linked-* describe what a redirect leads to.
func (c *Client) headers(ctx context.Context, f *download.File) error {
	header, err := c.Download.Head(ctx, f.URL)
	if err != nil {
		return err
	}
	sum, size := header.Get("X-Linked-Etag"), header.Get("X-Linked-Size")
	if sum == "" {
		sum = header.Get("ETag")
	}
	if size == "" && header.Get("Location") == "" {
		size = header.Get("Content-Length")
	}
	f.Sum = download.Sum(strings.Trim(strings.TrimPrefix(sum, "W/"), `"`))
	if f.Sum == "" {
		return errors.New(f.URL + " has no ETag to check its bytes by")
	}
	if size != "" {
		if f.Size, err = strconv.ParseInt(size, 10, 64); err != nil || f.Size < 0 {
			return fmt.Errorf("%s has the size %q", f.URL, size)
		}
	}
	return nil
}
