// Package download fetches files over HTTP so that a reader of the result never meets a half or a wrong one.
//
// A file gathers beside its place, under its name and ".incomplete", and moves there when its bytes have the expected sum.
// A cut connection, or a whole process that ended, goes on where the part ends (Range, RFC 9110 section 14). What may help is
// tried again: network failures and answers of 429 and 5xx, after the time that Retry-After names. Everything else is an error
// that says what the server answered.
package download

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Client asks servers. The zero value of a field is its default.
type Client struct {
	Token     string            // sent as a bearer token to the host of TokenFor, and to no other
	TokenFor  string            // scheme://host[:port]
	Transport http.RoundTripper // default: [Transport]
	Attempts  int               // in a row without a byte of progress; default 5
	Pause     time.Duration     // before the second attempt, doubled for each further one; default 1 s
	Patience  time.Duration     // the longest Retry-After that is waited for; default 2 min
	Stall     time.Duration     // how long a body may send nothing; default 1 min
	Note      func(text string) // told why something is tried again; default: nobody
}

// Transport is the default transport: the environment's proxies, and a server that does not answer is given up.
var Transport http.RoundTripper = &http.Transport{
	Proxy:                 http.ProxyFromEnvironment,
	DialContext:           (&net.Dialer{Timeout: 15 * time.Second}).DialContext,
	TLSHandshakeTimeout:   15 * time.Second,
	ResponseHeaderTimeout: time.Minute,
	MaxIdleConnsPerHost:   8,
	ForceAttemptHTTP2:     true,
}

const userAgent = "metalora"

// StatusError is an answer that is neither the file nor worth another attempt.
type StatusError struct {
	URL        string
	Status     int
	Code       string        // X-Error-Code: what Hugging Face's hub calls the failure
	Message    string        // X-Error-Message
	RetryAfter time.Duration // 0: not said
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("%s answered %d %s", e.URL, e.Status, http.StatusText(e.Status))
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.RetryAfter > 0 {
		text += fmt.Sprintf(" (it asks to try again in %v)", e.RetryAfter.Round(time.Second))
	}
	return text
}

// passing tells whether the same request may get another answer later.
func (e *StatusError) passing() bool {
	return e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout || e.Status >= 500 && e.Status != http.StatusNotImplemented
}

// Answer is what a request came to: the last response, and the header of the first one, in which a hub describes the file
// before it redirects to where the bytes are.
type Answer struct {
	*http.Response
	First http.Header
}

const mostRedirects = 10

// ask makes one request and follows redirects. The token goes to its own host alone: Go's client would also send it to
// other ports and to subdomains, and those are where storage lies.
func (c *Client) ask(ctx context.Context, method, address string, header http.Header) (*Answer, error) {
	client := &http.Client{Transport: c.transport(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	var first http.Header
	for range mostRedirects {
		request, err := http.NewRequestWithContext(ctx, method, address, nil)
		if err != nil {
			return nil, fmt.Errorf("asking %s: %w", address, err)
		}
		for key, values := range header {
			request.Header[key] = values
		}
		request.Header.Set("User-Agent", userAgent)
		request.Header.Set("Accept-Encoding", "identity") // sizes and ranges count the file's own bytes
		if c.Token != "" && origin(request.URL) == c.TokenFor {
			request.Header.Set("Authorization", "Bearer "+c.Token)
		}
		response, err := client.Do(request)
		if err != nil {
			return nil, err
		}
		if first == nil {
			first = response.Header
		}
		next, err := response.Location()
		if response.StatusCode/100 != 3 || errors.Is(err, http.ErrNoLocation) {
			return &Answer{response, first}, nil
		}
		response.Body.Close()
		if err != nil {
			return nil, fmt.Errorf("asking %s: %w", address, err)
		}
		address = next.String()
	}
	return nil, fmt.Errorf("asking %s: more than %d redirects", address, mostRedirects)
}

func (c *Client) transport() http.RoundTripper {
	if c.Transport != nil {
		return c.Transport
	}
	return Transport
}

// origin is a URL's scheme, host and port.
func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

// refused is the error that an answer stands for, nil where it is 200 or 206. The body is closed unless it is nil.
func refused(a *Answer, address string) error {
	if a.StatusCode == http.StatusOK || a.StatusCode == http.StatusPartialContent {
		return nil
	}
	a.Body.Close()
	return &StatusError{URL: shown(address), Status: a.StatusCode, Code: a.Header.Get("X-Error-Code"), Message: a.Header.Get("X-Error-Message"),
		RetryAfter: retryAfter(a.Header.Get("Retry-After"))}
}

// shown is an address without its query, in which storage keeps signatures.
func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	u.RawQuery, u.User = "", nil
	return u.String()
}

// retryAfter reads seconds or a date.
func retryAfter(text string) time.Duration {
	if seconds, err := strconv.Atoi(text); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// Small reads a short document whole, trying again where it may help. A document above limit bytes is an error.
func (c *Client) Small(ctx context.Context, address string, limit int64) (data []byte, header http.Header, err error) {
	err = c.persist(ctx, func() (bool, error) {
		a, err := c.ask(ctx, http.MethodGet, address, nil)
		if err != nil {
			return false, err
		}
		if err := refused(a, address); err != nil {
			return false, err
		}
		defer a.Body.Close()
		header = a.First
		data, err = io.ReadAll(io.LimitReader(a.Body, limit+1))
		return false, err
	})
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s sends more than %d bytes", shown(address), limit)
	}
	return data, header, err
}

// Head asks for a file's description: the header of the first answer, before redirects to where the bytes are.
func (c *Client) Head(ctx context.Context, address string) (header http.Header, err error) {
	err = c.persist(ctx, func() (bool, error) {
		a, err := c.ask(ctx, http.MethodHead, address, nil)
		if err != nil {
			return false, err
		}
		header = a.First
		a.Body.Close()
		return false, refused(a, address)
	})
	return header, err
}
