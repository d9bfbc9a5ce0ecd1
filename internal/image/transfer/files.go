package transfer

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// directory is the files in a directory.
type directory string

func (d directory) open(name string) (file, error) {
	if !filepath.IsLocal(name) {
		return nil, fmt.Errorf("%q is not the name of a file in %s", name, string(d))
	}
	return os.Open(filepath.Join(string(d), name))
}

func (d directory) Close() error { return nil }

// archive is the files in a tar archive.
type archive struct {
	file    *os.File
	members map[string]member
}

type member struct {
	offset, size int64
	link         string // target of a symbolic or hard link
}

// openArchive opens the archive name, which may be compressed. It is uncompressed into a file
// in the directory tmp then. The name "-" is the standard input.
func openArchive(ctx context.Context, name, tmp string) (*archive, error) {
	f := os.Stdin
	if name != "-" {
		var err error
		if f, err = os.Open(name); err != nil {
			return nil, err
		}
	}
	f, err := seekable(ctx, f, tmp)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	a := &archive{file: f, members: map[string]member{}}
	if err := a.scan(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: not a tar archive: %w", name, err), f.Close())
	}
	return a, nil
}

// seekable returns the uncompressed content of f, which it closes unless that is f itself.
func seekable(ctx context.Context, f *os.File, tmp string) (*os.File, error) {
	b := bufio.NewReaderSize(newBlocking(ctx, f.Read), maxBlocking)
	magic, err := b.Peek(4)
	if err != nil && err != io.EOF {
		return nil, errors.Join(err, f.Close())
	}
	var plain io.Reader = b
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		plain, err = gzip.NewReader(b)
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		var z *zstd.Decoder
		if z, err = zstd.NewReader(b); err == nil {
			defer z.Close()
			plain = z
		}
	default:
		if _, err := f.Seek(0, io.SeekStart); err == nil {
			return f, nil
		}
		err = nil // a pipe
	}
	if err != nil && err != io.EOF {
		return nil, errors.Join(err, f.Close())
	}
	defer f.Close()
	out, err := os.CreateTemp(tmp, "archive-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(out.Name()); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	if _, err := io.Copy(out, plain); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}

// scan finds the members.
func (a *archive) scan() error {
	if _, err := a.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	// Not buffered, so that the position in the file is that of the content.
	for tr := tar.NewReader(a.file); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Clean(strings.TrimPrefix(h.Name, "./"))
		switch h.Typeflag {
		case tar.TypeReg:
			at, err := a.file.Seek(0, io.SeekCurrent)
			if err != nil {
				return err
			}
			a.members[name] = member{offset: at, size: h.Size}
		case tar.TypeSymlink:
			a.members[name] = member{link: path.Join(path.Dir(name), h.Linkname)}
		case tar.TypeLink:
			a.members[name] = member{link: path.Clean(h.Linkname)}
		}
	}
}

type section struct{ *io.SectionReader }

func (section) Close() error { return nil }

func (a *archive) open(name string) (file, error) {
	for range 10 { // links to links
		m, ok := a.members[path.Clean(name)]
		if !ok {
			break
		}
		if m.link == "" {
			return section{io.NewSectionReader(a.file, m.offset, m.size)}, nil
		}
		name = m.link
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func (a *archive) Close() error { return a.file.Close() }
