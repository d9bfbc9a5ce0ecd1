package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/rootless-containers/subuidless/internal/image/storedir"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"
)

// ErrDigest is wrapped by errors about content that has not the digest or size that its
// descriptor says.
var ErrDigest = errors.New("the content does not match its digest")

// BlobPath returns the path of the blob with this digest.
func (s *Store) BlobPath(digest v1.Hash) string { return s.path("blobs", digest.Algorithm, digest.Hex) }

// HasBlob reports whether the store has the blob that d describes.
func (s *Store) HasBlob(d v1.Descriptor) bool {
	st, err := os.Stat(s.BlobPath(d.Digest))
	return err == nil && st.Mode().IsRegular() && (d.Size < 0 || st.Size() == d.Size)
}

// ReadBlob returns the content of a blob, a manifest or configuration, and verifies it.
func (s *Store) ReadBlob(digest v1.Hash) ([]byte, error) {
	b, err := os.ReadFile(s.BlobPath(digest))
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != digest.Hex {
		return nil, fmt.Errorf("%s: %w", s.BlobPath(digest), ErrDigest)
	}
	return b, nil
}

// readBlobJSON parses a blob.
func (s *Store) readBlobJSON(digest v1.Hash, v any) error {
	b, err := s.ReadBlob(digest)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("blob %s: %w", digest, err)
	}
	return nil
}

// PutBlob adds a blob.
func (s *Store) PutBlob(content []byte) (v1.Hash, error) {
	sum := sha256.Sum256(content)
	d := v1.Descriptor{Digest: v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}, Size: int64(len(content))}
	return d.Digest, s.Fetch(context.Background(), d, func(_ context.Context, offset int64) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content[offset:])), nil
	}, nil)
}

// PutStream adds a blob of unknown digest, which write writes.
func (s *Store) PutStream(write func(io.Writer) error) (d v1.Descriptor, err error) {
	f, err := os.CreateTemp(s.path("tmp"), "stream-*")
	if err != nil {
		return d, err
	}
	defer f.Close()
	sum := sha256.New()
	err = write(io.MultiWriter(f, sum))
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		d.Size, err = f.Seek(0, io.SeekCurrent)
	}
	d.Digest = v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum.Sum(nil))}
	if err == nil {
		err = os.Rename(f.Name(), s.BlobPath(d.Digest))
	}
	if err != nil {
		return d, errors.Join(err, os.Remove(f.Name()))
	}
	return d, storedir.SyncDir(s.path("blobs", "sha256"))
}

// CheckDigest returns an error if the store cannot hold a blob with this digest.
func CheckDigest(digest v1.Hash) error {
	if digest.Algorithm != "sha256" || len(digest.Hex) != 2*sha256.Size || strings.Trim(digest.Hex, "0123456789abcdef") != "" {
		return fmt.Errorf("digest %q: only sha256 digests are supported", digest)
	}
	return nil
}

// Fetch adds the blob that d describes, unless the store has it. Open returns its content from
// an offset on. What an earlier process has written of it is not read again. If another process
// fetches the same blob, Fetch waits for that one. Progress, if not nil, is called with the
// number of bytes that have arrived since the last call.
//
// The error wraps ErrDigest if the content is not what d says, or is that of open or write(2).
func (s *Store) Fetch(ctx context.Context, d v1.Descriptor, open func(ctx context.Context, offset int64) (io.ReadCloser, error), progress func(int64)) error {
	if err := CheckDigest(d.Digest); err != nil {
		return err
	}
	if progress == nil {
		progress = func(int64) {}
	}
	if s.HasBlob(d) {
		progress(max(d.Size, 0))
		return nil
	}
	name := s.path("tmp", d.Digest.Hex)
	for {
		l, err := storedir.LockFile(name, unix.LOCK_EX)
		if err != nil {
			return err
		}
		if s.HasBlob(d) { // another process has finished it
			l.Unlock()
			progress(max(d.Size, 0))
			return nil
		}
		if !storedir.IsCurrent(l.File, name) {
			l.Unlock()
			continue // the file that was locked has been renamed or removed
		}
		err = s.fetchInto(ctx, l.File, d, open, progress)
		l.Unlock()
		return err
	}
}

// fetchInto continues the blob in f, its locked file in tmp, and moves it to its place.
func (s *Store) fetchInto(ctx context.Context, f *os.File, d v1.Descriptor, open func(context.Context, int64) (io.ReadCloser, error), progress func(int64)) error {
	sum := sha256.New()
	have, err := io.Copy(sum, f)
	if err != nil {
		return err
	}
	if d.Size >= 0 && have > d.Size {
		have = 0
		sum.Reset()
		if err := f.Truncate(0); err != nil {
			return err
		}
	}
	if _, err := f.Seek(have, io.SeekStart); err != nil {
		return err
	}
	progress(have)
	if d.Size < 0 || have < d.Size {
		n, err := copyBlob(ctx, f, sum, have, open, progress)
		if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
			// What is there does not help, and others need the space.
			return errors.Join(fmt.Errorf("storing blob %s in %s: %w", short(d.Digest), s.Dir, err), os.Remove(f.Name()))
		}
		if err != nil {
			return fmt.Errorf("blob %s: %w", short(d.Digest), err)
		}
		have += n
	}
	if d.Size >= 0 && have != d.Size {
		if have < d.Size {
			return fmt.Errorf("blob %s: %w: it ends after %d of %d bytes", short(d.Digest), io.ErrUnexpectedEOF, have, d.Size)
		}
		return errors.Join(fmt.Errorf("blob %s: %w: it is longer than the %d bytes that its descriptor says", short(d.Digest), ErrDigest, d.Size), os.Remove(f.Name()))
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != d.Digest.Hex {
		return errors.Join(fmt.Errorf("blob %s: %w: it has sha256:%s", d.Digest, ErrDigest, got), os.Remove(f.Name()))
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), s.BlobPath(d.Digest)); err != nil {
		return err
	}
	return storedir.SyncDir(filepath.Dir(s.BlobPath(d.Digest)))
}

func copyBlob(ctx context.Context, f io.Writer, sum hash.Hash, have int64, open func(context.Context, int64) (io.ReadCloser, error), progress func(int64)) (int64, error) {
	r, err := open(ctx, have)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	return io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(f, sum, counter(progress))}, struct{ io.Reader }{r}, make([]byte, 256<<10))
}

// counter is an io.Writer that counts.
type counter func(int64)

func (c counter) Write(b []byte) (int, error) {
	c(int64(len(b)))
	return len(b), nil
}

// short returns the form of a digest for messages.
func short(digest v1.Hash) string {
	return digest.Algorithm + ":" + digest.Hex[:min(len(digest.Hex), 12)]
}

// verifyBlob returns an error unless the blob has its digest.
func (s *Store) verifyBlob(digest v1.Hash) error {
	if err := CheckDigest(digest); err != nil {
		return err
	}
	f, err := os.Open(s.BlobPath(digest))
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != digest.Hex {
		return fmt.Errorf("%w: it has sha256:%s", ErrDigest, got)
	}
	return nil
}
