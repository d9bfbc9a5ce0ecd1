package transfer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/rootless-containers/subuidless/internal/image/reference"
	"github.com/rootless-containers/subuidless/internal/image/store"
)

// newTransport returns the HTTP client's transport. It uses the proxies of the environment.
// Insecure accepts any certificate.
func newTransport(insecure bool) http.RoundTripper {
	t := remote.DefaultTransport.(*http.Transport).Clone()
	if insecure {
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	}
	return redirected{patient{watchdog{t}}}
}

// registrySource is an image of a registry.
type registrySource struct {
	ref      name.Reference
	options  []remote.Option
	insecure bool
	authFile string

	once   sync.Once // protects client and err
	client *http.Client
	err    error
}

func newRegistrySource(e reference.Endpoint, authFile string) (*registrySource, error) {
	full, err := e.Remote()
	if err != nil {
		return nil, err
	}
	return &registrySource{ref: full, insecure: e.Insecure, authFile: authFile, options: remoteOptions(authFile, e.Insecure)}, nil
}

// remoteOptions are the options for package remote.
func remoteOptions(authFile string, insecure bool) []remote.Option {
	return []remote.Option{
		remote.WithAuthFromKeychain(keychain{authFile}),
		remote.WithTransport(newTransport(insecure)),
		remote.WithUserAgent("subuidless"),
	}
}

func (s *registrySource) manifest(ctx context.Context, digest *v1.Hash) (*manifest, error) {
	ref := s.ref
	if digest != nil {
		ref = s.ref.Context().Digest(digest.String())
	}
	d, err := remote.Get(ref, append(s.options, remote.WithContext(ctx))...)
	if err != nil {
		return nil, explainRegistry(ref, err)
	}
	if len(d.Manifest) > maxManifest {
		return nil, fmt.Errorf("manifest %s: larger than %d bytes", d.Digest, maxManifest)
	}
	return newManifest(d.Manifest, d.MediaType, digest)
}

// tags returns the tags of the image's repository.
func (s *registrySource) tags(ctx context.Context) ([]string, error) {
	tags, err := remote.List(s.ref.Context(), append(s.options, remote.WithContext(ctx))...)
	if err != nil {
		return nil, explainRegistry(s.ref, err)
	}
	return tags, nil
}

// connect returns a client with the authorization to pull.
func (s *registrySource) connect(ctx context.Context) (*http.Client, error) {
	s.once.Do(func() {
		repository := s.ref.Context()
		auth, err := authn.Resolve(ctx, keychain{s.authFile}, repository)
		if err != nil {
			s.err = err
			return
		}
		t, err := transport.NewWithContext(ctx, repository.Registry, auth, transport.NewRetry(newTransport(s.insecure)), []string{repository.Scope(transport.PullScope)})
		if err != nil {
			s.err = err
			return
		}
		s.client = &http.Client{Transport: t}
	})
	return s.client, s.err
}

func (s *registrySource) blob(ctx context.Context, d v1.Descriptor, offset int64) (io.ReadCloser, error) {
	client, err := s.connect(ctx)
	if err != nil {
		return nil, explainRegistry(s.ref, err)
	}
	repository := s.ref.Context()
	u := url.URL{Scheme: repository.Scheme(), Host: repository.RegistryStr(), Path: fmt.Sprintf("/v2/%s/blobs/%s", repository.RepositoryStr(), d.Digest)}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	if offset > 0 {
		// With an end, which some registries require.
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, d.Size-1))
	}
	response, err := client.Do(request)
	if err == nil && response.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		response.Body.Close()
		request.Header.Del("Range")
		response, err = client.Do(request)
	}
	if err != nil {
		return nil, explainRegistry(s.ref, err)
	}
	if err := transport.CheckError(response, http.StatusOK, http.StatusPartialContent); err != nil {
		response.Body.Close()
		return nil, explainRegistry(s.ref, err)
	}
	if offset > 0 && response.StatusCode == http.StatusOK { // it does not know ranges
		if _, err := io.CopyN(io.Discard, response.Body, offset); err != nil {
			return nil, errors.Join(err, response.Body.Close())
		}
	}
	return response.Body, nil
}

// attempts is how often a blob is tried, each time from where the last one has ended.
const attempts = 5

// pause is the first pause between two attempts; it doubles. It is a variable for tests.
var pause = time.Second

// retry calls fetch until it succeeds, up to attempts times. Errors that another attempt does
// not change are returned at once.
func retry(ctx context.Context, fetch func() error) error {
	wait := pause
	for i := 1; ; i++ {
		err := fetch()
		if err == nil || i == attempts || ctx.Err() != nil || !isTemporary(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
		wait *= 2
	}
}

func isTemporary(err error) bool {
	var response *transport.Error
	if errors.As(err, &response) {
		return response.Temporary() || response.StatusCode == http.StatusTooManyRequests || response.StatusCode >= 500
	}
	var local *fs.PathError // a full disk, which looks like an error of the network
	if errors.As(err, &local) || errors.As(err, new(*waitError)) || errors.Is(err, errRedirects) {
		return false
	}
	var network net.Error
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errStalled) || errors.Is(err, context.Canceled) || errors.As(err, &network)
}

// explainRegistry adds what the user can do to an error of a registry.
func explainRegistry(ref name.Reference, err error) error {
	full := reference.Canonical(ref)
	status := 0
	if response := new(transport.Error); errors.As(err, &response) {
		status = response.StatusCode
	} else if wait := new(waitError); errors.As(err, &wait) {
		status, err = wait.status, wait // without the URL of the request
	}
	host := ref.Context().RegistryStr()
	switch status {
	case http.StatusNotFound:
		return fmt.Errorf("image %s: %w in its registry (check the name and the tag): %w", full, store.ErrNotFound, err)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("image %s: the registry refuses access: it does not exist, or needs subuidless login %s: %w", full, host, err)
	case http.StatusTooManyRequests:
		return fmt.Errorf("image %s: the registry limits the number of requests; wait, or use subuidless login %s for a higher limit: %w", full, host, err)
	}
	return fmt.Errorf("image %s: %w", full, err)
}
