package build

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/rootless-containers/subuidless/internal/image/build/files"
)

// unnamed is the name of a file whose URL has none.
const unnamed = "__unnamed__"

// headerTimeout is how long a server may take to answer.
const headerTimeout = time.Minute

// download fetches the file of ADD from a URL. Checksum is ALGORITHM:HEX, or empty. The caller
// removes the file.
func (b *builder) download(ctx context.Context, from, checksum string) (_ *files.File, err error) {
	u, err := url.Parse(from)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = headerTimeout
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: the server says %s", from, response.Status)
	}
	f, err := os.CreateTemp(b.tmp, "download-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	algorithm, want, _ := strings.Cut(checksum, ":")
	sum := newHash(algorithm)
	if _, err := io.Copy(io.MultiWriter(f, sum), response.Body); err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); want != "" && got != strings.ToLower(want) {
		return nil, fmt.Errorf("%s: its checksum is %s:%s, not %s", from, algorithm, got, checksum)
	}
	out := &files.File{Path: f.Name(), Name: unnamed, Mode: 0o600, ModTime: b.created}
	if base := path.Base(u.Path); base != "." && base != "/" {
		out.Name = base
	}
	if t, err := http.ParseTime(response.Header.Get("Last-Modified")); err == nil {
		out.ModTime = t
	}
	return out, nil
}

func newHash(algorithm string) hash.Hash {
	switch algorithm {
	case "sha384":
		return sha512.New384()
	case "sha512":
		return sha512.New()
	}
	return sha256.New()
}
