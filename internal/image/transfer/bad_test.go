package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/rootless-containers/subuidless/internal/image/reference"
	"github.com/rootless-containers/subuidless/internal/image/store"
)

// badRegistry is a registry that answers some requests wrongly.
type badRegistry struct {
	host     string
	bad      func(w http.ResponseWriter, r *http.Request) bool // answers itself, and returns true
	requests atomic.Int32                                      // that it was bad for
}

func startBadRegistry(t *testing.T) *badRegistry {
	t.Helper()
	reg := &badRegistry{}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if reg.bad == nil || !reg.bad(w, r) {
			inner.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	reg.host = strings.TrimPrefix(server.URL, "http://")
	return reg
}

// timers are the timers of transfers in a test, in place of those of package time: so it does not
// depend on the speed of the machine which transfers stall.
type timers struct {
	mu      sync.Mutex
	running map[*testTimer]bool
}

type testTimer struct {
	all  *timers
	fire func()
}

// Stop is time.Timer.Stop.
func (t *testTimer) Stop() bool { return t.set(false) }

// Reset is time.Timer.Reset.
func (t *testTimer) Reset(time.Duration) bool { return t.set(true) }

func (t *testTimer) set(running bool) (before bool) {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	before = t.all.running[t]
	if running {
		t.all.running[t] = true
	} else {
		delete(t.all.running, t)
	}
	return before
}

// expire makes all running timers expire, and reports whether there are any.
func (ts *timers) expire() bool {
	ts.mu.Lock()
	expired := ts.running
	ts.running = map[*testTimer]bool{}
	ts.mu.Unlock()
	for t := range expired {
		t.fire()
	}
	return len(expired) > 0
}

// useTimers makes transfers use timers that only expire makes expire, and pause shortly between
// attempts, until the test ends.
func useTimers(t *testing.T) *timers {
	t.Helper()
	ts := &timers{running: map[*testTimer]bool{}}
	oldAfterFunc, oldPause := afterFunc, pause
	pause = time.Millisecond
	afterFunc = func(d time.Duration, f func()) timer {
		t := &testTimer{ts, f}
		t.Reset(d)
		return t
	}
	t.Cleanup(func() { afterFunc, pause = oldAfterFunc, oldPause })
	return ts
}

// stalls sends the beginning of a response of 1000 bytes, and then nothing until the client gives
// up, as the time for which it waits has passed.
func stalls(ts *timers, begin string) func(w http.ResponseWriter, r *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		if begin != "" {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, begin)
			w.(http.Flusher).Flush()
		}
		_, _ = io.Copy(io.Discard, r.Body)             // until then, the server does not see that the client is gone
		for !ts.expire() && r.Context().Err() == nil { // none runs before the client wants to read more
			time.Sleep(time.Millisecond)
		}
		<-r.Context().Done()
	}
}

// TestBadRegistry transfers an image without layers from and to registries that stall, refuse or
// cut off for ever.
func TestBadRegistry(t *testing.T) {
	reg := startBadRegistry(t)
	img, err := mutate.Config(empty.Image, v1.Config{Labels: map[string]string{"large": strings.Repeat("x", 2000)}})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(reg.host + "/image:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img); err != nil {
		t.Fatal(err)
	}
	known, err := reference.ReadRegistries(t.TempDir(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := reference.Parse(ref.Name(), nil)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Registries: known, Progress: silent{}, Warn: func(message string) { t.Errorf("warning: %s", message) }}
	ts := useTimers(t)
	const stalled = "nothing has been transferred for 1m0s"
	isManifest := func(r *http.Request) bool {
		return strings.Contains(r.URL.Path, "/manifests/") && r.Method == http.MethodGet
	}
	isBlob := func(r *http.Request) bool {
		return strings.Contains(r.URL.Path, "/blobs/sha256:") && r.Method == http.MethodGet
	}
	isUpload := func(r *http.Request) bool { return r.Method == http.MethodPut || r.Method == http.MethodPost }
	isToken := func(r *http.Request) bool { return r.URL.Path == "/token" }
	// needsToken has the registry ask for a token of /token, and then never accept it.
	needsToken := func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/v2/") || isToken(r) }
	challenge := func(token func(http.ResponseWriter, *http.Request)) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			if isToken(r) {
				token(w, r)
				return
			}
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="here"`, reg.host))
			w.WriteHeader(http.StatusUnauthorized)
		}
	}
	refuses := func(status int, retryAfter string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", retryAfter)
			w.WriteHeader(status)
		}
	}
	redirects := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.String(), http.StatusTemporaryRedirect)
	}
	for _, tt := range []struct {
		name     string
		push     bool
		which    func(r *http.Request) bool
		answer   func(w http.ResponseWriter, r *http.Request)
		want     string
		requests int32 // 0: any number
	}{
		{"ping stalls", false, func(r *http.Request) bool { return r.URL.Path == "/v2/" }, stalls(ts, ""), stalled, 0},
		{"manifest stalls", false, isManifest, stalls(ts, ""), stalled, 0},
		{"manifest stalls later", false, isManifest, stalls(ts, "{"), stalled, 0},
		{"blob stalls", false, isBlob, stalls(ts, ""), stalled, attempts},
		{"blob stalls later", false, isBlob, stalls(ts, "{"), stalled, attempts},
		{"blob is cut off", false, isBlob, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "{")
		}, "unexpected EOF", attempts},
		{"blob is short", false, isBlob, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "{") }, "it ends after", attempts},
		{"token is refused", false, needsToken, challenge(refuses(http.StatusUnauthorized, "")), "subuidless login", 0},
		{"token does not help", false, needsToken, challenge(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"token":"x"}`) }), "subuidless login", 0},
		{"token is garbage", false, needsToken, challenge(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "garbage") }), "invalid character", 0},
		{"token stalls", false, needsToken, challenge(stalls(ts, "")), stalled, 0},
		{"token redirects in a circle", false, needsToken, challenge(redirects), "redirects in a circle", 0},
		{"manifest redirects in a circle", false, isManifest, redirects, "redirects in a circle", maxRedirects + 1},
		{"blob redirects in a circle", false, isBlob, redirects, "redirects in a circle", maxRedirects + 1},
		{"manifest is limited for hours", false, isManifest, refuses(http.StatusTooManyRequests, "7200"), "limits the number of requests; wait, or use subuidless login", 1},
		{"blob is limited until a date", false, isBlob, refuses(http.StatusTooManyRequests, time.Now().Add(2*time.Hour).UTC().Format(http.TimeFormat)), "asks to wait for ", 1},
		{"blob is not available for hours", false, isBlob, refuses(http.StatusServiceUnavailable, "7200"), "it answers 503 Service Unavailable, and asks to wait for 2h0m0s", 1},
		{"push is limited for hours", true, isUpload, refuses(http.StatusTooManyRequests, "7200"), "and asks to wait for 2h0m0s", 1},
		{"push stalls", true, isUpload, stalls(ts, ""), stalled, 0},
		{"push is refused", true, isUpload, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusForbidden) }, "subuidless login", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := store.Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			reg.bad = nil
			to := parsed
			if tt.push {
				if _, err := Pull(t.Context(), s, parsed, nil, o); err != nil {
					t.Fatal(err)
				}
				to.Name = reg.host + "/" + strings.ReplaceAll(tt.name, " ", "-") + ":1"
			}
			transfer := func() error {
				if !tt.push {
					_, err := Pull(t.Context(), s, parsed, nil, o)
					return err
				}
				images, _, err := s.Images()
				if err != nil || len(images) != 1 {
					return fmt.Errorf("the store has %d images: %w", len(images), err)
				}
				return Push(t.Context(), s, images[0], to, o)
			}
			t.Run("bad", func(t *testing.T) {
				reg.requests.Store(0)
				reg.bad = func(w http.ResponseWriter, r *http.Request) bool {
					if !tt.which(r) {
						return false
					}
					reg.requests.Add(1)
					tt.answer(w, r)
					return true
				}
				err := transfer()
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("the error is %v, want %q", err, tt.want)
				}
				if n := reg.requests.Load(); tt.requests != 0 && n != tt.requests {
					t.Errorf("%d requests, want %d", n, tt.requests)
				}
			})
			images, _, err := s.Images()
			if err != nil || !tt.push && len(images) != 0 {
				t.Errorf("the store has %d images (%v)", len(images), err)
			}
			if problems, err := s.Check(false, nil); err != nil || len(problems) > 0 {
				t.Errorf("the store has problems: %v, %v", problems, err)
			}
			reg.bad = nil
			if err := transfer(); err != nil {
				t.Errorf("when the registry answers again: %v", err)
			}
		})
	}
}

// TestRetryAfter asks to wait several times, for a manifest, a blob and an upload: each request is
// tried again, with its body.
func TestRetryAfter(t *testing.T) {
	old := second
	second = time.Millisecond
	t.Cleanup(func() { second = old })
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != "body" {
			t.Errorf("the body is %q (%v)", body, err)
		}
		switch requests.Add(1) {
		case 1:
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(http.StatusTooManyRequests)
		case 2:
			w.Header().Set("Retry-After", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusServiceUnavailable)
		case 3:
			w.Header().Set("Retry-After", "garbage")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	response, err := newTransport(false).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Error(err)
	}
	if n := requests.Load(); n != 3 || response.StatusCode != http.StatusTooManyRequests {
		t.Errorf("%d requests, and %s", n, response.Status)
	}
	if waited := time.Since(begin); waited < 30*second {
		t.Errorf("it waited for %v only", waited)
	}
	ctx, cancel := context.WithCancel(t.Context())
	requests.Store(0)
	second = time.Second // longer than the test
	request = request.Clone(ctx)
	if request.Body, err = request.GetBody(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for requests.Load() == 0 && t.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if response, err := newTransport(false).RoundTrip(request); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupted request: %v, %v", response, err)
	}
	cancel()
}

// TestSlowReader reads a response slowly: the time in which it does not read does not count.
func TestSlowReader(t *testing.T) {
	ts := useTimers(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "one")
		w.(http.Flusher).Flush()
		io.WriteString(w, "two")
	}))
	defer server.Close()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := newTransport(false).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 6)
	for i := range b {
		if ts.expire() {
			t.Errorf("the time before byte %d is read counts", i)
		}
		if _, err := io.ReadFull(response.Body, b[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if string(b) != "onetwo" {
		t.Errorf("%q", b)
	}
	if err := response.Body.Close(); err != nil {
		t.Error(err)
	}
}
