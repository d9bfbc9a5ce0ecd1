package transfer

import (
	"fmt"
	"net/http"
)

// maxRedirects is how many redirects a request follows: fewer than in package net/http, so that
// there is one error only.
const maxRedirects = 8

// errRedirects means that a registry redirects a request in a circle.
var errRedirects = fmt.Errorf("the registry redirects in a circle: stopped after %d redirects", maxRedirects)

// redirected is a transport that limits the redirects of a request. The clients of package remote
// follow any number.
type redirected struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t redirected) RoundTrip(request *http.Request) (*http.Response, error) {
	n := 0
	for r := request; r != nil && r.Response != nil; r = r.Response.Request {
		if n++; n > maxRedirects {
			return nil, errRedirects
		}
	}
	return t.RoundTripper.RoundTrip(request)
}
