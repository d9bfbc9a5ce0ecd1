package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// stallTimeout is how long a connection to a registry may make no progress.
const stallTimeout = 60 * time.Second

// timer is a time.Timer, except in tests.
type timer interface {
	Stop() bool
	Reset(time.Duration) bool
}

// afterFunc is time.AfterFunc, except in tests.
var afterFunc = func(d time.Duration, f func()) timer { return time.AfterFunc(d, f) }

// errStalled is the reason why a request is given up.
var errStalled = errors.New("the registry has stalled")

// watchdog is a transport that gives up requests whose connection makes no progress, while the
// request is sent as well as while the response arrives.
type watchdog struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper. The error wraps errStalled.
func (t watchdog) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(request.Context())
	w := &watch{ctx: ctx, cancel: cancel}
	w.timer = afterFunc(stallTimeout, func() {
		cancel(fmt.Errorf("%w: nothing has been transferred for %v", errStalled, stallTimeout))
	})
	request = request.Clone(ctx)
	if request.Body != nil && request.Body != http.NoBody {
		request.Body = &sent{request.Body, w}
	}
	response, err := t.RoundTripper.RoundTrip(request)
	if err != nil {
		w.end()
		return nil, w.explain(err)
	}
	w.timer.Stop()
	response.Body = &received{response.Body, w}
	return response, nil
}

// watch is the timer of one request.
type watch struct {
	ctx    context.Context //nolint:containedctx // that of the request
	cancel context.CancelCauseFunc
	timer  timer
}

func (w *watch) end() {
	w.timer.Stop()
	w.cancel(nil)
}

// explain returns the reason for err.
func (w *watch) explain(err error) error {
	if cause := context.Cause(w.ctx); errors.Is(cause, errStalled) {
		return cause
	}
	return err
}

// sent is the body of a request. The connection makes progress when it wants the next part.
type sent struct {
	io.ReadCloser
	*watch
}

func (s *sent) Read(b []byte) (int, error) {
	s.timer.Stop()
	defer s.timer.Reset(stallTimeout)
	return s.ReadCloser.Read(b)
}

// received is the body of a response. The time in which nobody reads does not count.
type received struct {
	io.ReadCloser
	*watch
}

func (r *received) Read(b []byte) (int, error) {
	r.timer.Reset(stallTimeout)
	defer r.timer.Stop()
	n, err := r.ReadCloser.Read(b)
	if err != nil && err != io.EOF {
		err = r.explain(err)
	}
	return n, err
}

func (r *received) Close() error {
	err := r.ReadCloser.Close()
	r.end()
	return err
}
