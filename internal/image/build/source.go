package build

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/patternmatcher/ignorefile"

	"github.com/rootless-containers/subuidless/internal/image/build/files"
	"github.com/rootless-containers/subuidless/internal/image/transfer"
	"github.com/rootless-containers/subuidless/internal/isolation"
)

// source is what an image is built from.
type source struct {
	name       string // of the Dockerfile, for messages
	dockerfile []byte

	dir    string // the context; empty: there is none
	remote bool   // the context has been fetched, so that the Dockerfile is in it
	ignore []string
}

// stdin is what names the standard input.
const stdin = "-"

// maxDockerfile is the size of the largest Dockerfile, in bytes.
const maxDockerfile = 16 << 20

// openSource reads the Dockerfile, and finds the context.
func (b *builder) openSource(ctx context.Context) (*source, error) {
	if b.Context == stdin && b.Dockerfile == stdin {
		return nil, errors.New("the standard input can be the context or the Dockerfile, but not both")
	}
	s := new(source)
	var err error
	if b.Context == stdin {
		err = b.readContext(ctx, s)
	} else {
		err = b.openDirectory(ctx, s, b.Context)
	}
	if err != nil || s.dockerfile != nil {
		return s, err
	}
	if err := b.readDockerfile(ctx, s); err != nil {
		return nil, err
	}
	return s, s.readIgnore(b.Dockerfile)
}

// openDirectory makes the directory or git repository that text names the context of s.
func (b *builder) openDirectory(ctx context.Context, s *source, text string) error {
	repository, isGit, err := parseGit(text)
	switch {
	case err != nil:
		return fmt.Errorf("context %w", err)
	case isGit:
		dir, err := os.MkdirTemp(b.tmp, "git-")
		if err != nil {
			return err
		}
		s.remote = true
		keep := b.Args[keepGitDir]
		s.dir, err = b.fetchGit(ctx, "context "+repository.url, dir, repository, "", keep == "1" || keep == "true")
		return err
	case strings.Contains(text, "://"):
		return fmt.Errorf("context %s: must be a directory, a git repository (URL.git), or - for the standard input; fetch other files first", text)
	}
	if s.dir, err = filepath.Abs(text); err != nil {
		return err
	}
	st, err := os.Stat(s.dir)
	if err != nil {
		return fmt.Errorf("context: %w", err)
	}
	if !st.IsDir() {
		return fmt.Errorf("context %s: not a directory", text)
	}
	return nil
}

// readContext reads the standard input: a Dockerfile, or an archive with the context, which is
// unpacked.
func (b *builder) readContext(ctx context.Context, s *source) error {
	in := bufio.NewReaderSize(transfer.Stdin(ctx), 1<<10)
	start, err := in.Peek(512)
	if err != nil && err != io.EOF {
		return fmt.Errorf("standard input: %w", err)
	}
	if isText(start) {
		content, err := readLimited(in)
		if err != nil {
			return err
		}
		s.name, s.dockerfile, s.dir = "standard input", content, ""
		return nil
	}
	archive := filepath.Join(b.tmp, "context.tar")
	f, err := os.OpenFile(archive, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, in)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("reading the context from the standard input: %w", err)
	}
	s.dir = filepath.Join(b.tmp, "context")
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		return err
	}
	p, err := files.Start(b.store, b.use, isolation.Current().NativeOwners())
	if err != nil {
		return err
	}
	p.Warn = b.warn
	c := &files.Copy{Dest: "/", Sources: []files.Source{{File: &files.File{Path: archive, Name: "context.tar"}, Unpack: true}}}
	_, err = p.Copy(c, filepath.Join(b.tmp, "context.layer"), s.dir)
	return errors.Join(err, p.Close(), os.Remove(archive))
}

// isText reports whether a file that begins like this is a Dockerfile, and not an archive.
func isText(start []byte) bool {
	return !bytes.ContainsRune(start, 0) && !bytes.HasPrefix(start, []byte("BZh"))
}

func readLimited(r io.Reader) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, maxDockerfile+1))
	if err == nil && len(content) > maxDockerfile {
		err = fmt.Errorf("the Dockerfile has more than %d bytes", maxDockerfile)
	}
	return content, err
}

// readDockerfile reads the Dockerfile that the user names, or that of the context.
func (b *builder) readDockerfile(ctx context.Context, s *source) error {
	if b.Dockerfile == stdin {
		var err error
		s.name = "standard input"
		s.dockerfile, err = readLimited(transfer.Stdin(ctx))
		return err
	}
	candidates := []string{filepath.Join(s.dir, "Dockerfile"), filepath.Join(s.dir, "Containerfile"), filepath.Join(s.dir, "dockerfile")}
	if b.Dockerfile != "" {
		candidates = []string{b.Dockerfile}
		if s.remote {
			candidates = []string{filepath.Join(s.dir, filepath.Clean("/"+b.Dockerfile))}
		} else if !filepath.IsAbs(b.Dockerfile) {
			candidates = append(candidates, filepath.Join(s.dir, b.Dockerfile))
		}
	}
	for _, name := range candidates {
		f, err := os.Open(name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		defer f.Close()
		s.name = b.Dockerfile
		if s.name == "" {
			s.name = filepath.Base(name)
		}
		b.Dockerfile = name
		if s.dockerfile, err = readLimited(f); err == nil && s.dockerfile == nil {
			s.dockerfile = []byte{}
		}
		return err
	}
	if b.Dockerfile != "" {
		return fmt.Errorf("there is no file %s", b.Dockerfile)
	}
	return fmt.Errorf("the context %s has neither a Dockerfile nor a Containerfile; name one with --file", b.Context)
}

// readIgnore reads the patterns of files that are no part of the context. A file next to the
// Dockerfile takes precedence.
func (s *source) readIgnore(dockerfile string) error {
	var candidates []string
	if dockerfile != stdin {
		candidates = append(candidates, dockerfile+".dockerignore", dockerfile+".containerignore")
	}
	candidates = append(candidates, filepath.Join(s.dir, ".dockerignore"), filepath.Join(s.dir, ".containerignore"))
	for _, name := range candidates {
		f, err := os.Open(name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		defer f.Close()
		if s.ignore, err = ignorefile.ReadAll(f); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
	return nil
}

// tree returns the context as a source of files.
func (s *source) tree() (*files.Tree, error) {
	if s.dir == "" {
		return nil, errors.New("there is no context: the Dockerfile comes from the standard input alone")
	}
	return &files.Tree{Layers: []string{s.dir}, Plain: true, Ignore: s.ignore}, nil
}
