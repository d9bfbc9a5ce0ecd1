package files

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/moby/patternmatcher"
	chmod "github.com/tonistiigi/dchapes-mode"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/layer"
	"github.com/rootless-containers/subuidless/internal/owner"
)

// emitter receives the entries of a layer. Content is nil unless the entry is a regular file.
type emitter func(h *tar.Header, content func() (io.ReadCloser, error)) error

// copier makes the entries of one layer.
type copier struct {
	*Copy
	owners  *owner.Store
	dest    dest
	emit    emitter
	mode    int64      // -1: that of the source
	modes   *chmod.Set // symbolic; nil: see mode
	exclude *patternmatcher.PatternMatcher
}

// newCopier returns a copier whose entries emit receives. The caller calls close.
func newCopier(c *Copy, owners *owner.Store, emit emitter) (*copier, error) {
	lower := c.Lower
	if c.Link {
		lower = nil
	}
	stack, err := layer.OpenStack(lower)
	if err != nil {
		return nil, err
	}
	k := &copier{
		Copy: c, owners: owners, emit: emit, mode: -1,
		dest: dest{tree: &layer.Tree{Stack: stack, Owners: owners}, made: map[string]byte{}},
	}
	if err := k.parse(); err != nil {
		return nil, errors.Join(err, k.close())
	}
	return k, nil
}

func (k *copier) parse() (err error) {
	if k.Mode != "" {
		if n, err := strconv.ParseUint(k.Mode, 8, 12); err == nil {
			k.mode = int64(n)
		} else {
			set, err := chmod.ParseWithUmask(k.Mode, 0)
			if err != nil {
				return fmt.Errorf("--chmod=%s: %w", k.Mode, err)
			}
			k.modes = &set
		}
	}
	if len(k.Exclude) > 0 {
		if k.exclude, err = patternmatcher.New(k.Exclude); err != nil {
			return fmt.Errorf("--exclude: %w", err)
		}
	}
	return nil
}

func (k *copier) close() error { return k.dest.tree.Close() }

// run emits the entries of all sources.
func (k *copier) run() error {
	for i := range k.Sources {
		if err := k.source(&k.Sources[i]); err != nil {
			return err
		}
	}
	return nil
}

func (k *copier) source(s *Source) error {
	switch {
	case s.Dir:
		at, err := k.dest.resolve(k.Dest)
		if err != nil {
			return err
		}
		return k.mkdirAll(at)
	case s.Inline != nil:
		return k.single(s.Inline.Name, &tar.Header{Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(s.Inline.Content)), ModTime: k.Created}, func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(s.Inline.Content)), nil
		})
	case s.File != nil:
		return k.file(s)
	}
	return k.tree(s)
}

// file copies a file of the host, which may be an archive to unpack.
func (k *copier) file(s *Source) error {
	open := func() (io.ReadCloser, error) { return os.Open(s.File.Path) }
	if s.Unpack {
		done, err := k.unpack(open)
		if done || err != nil {
			return err
		}
	}
	st, err := os.Stat(s.File.Path)
	if err != nil {
		return err
	}
	return k.single(s.File.Name, &tar.Header{Typeflag: tar.TypeReg, Mode: s.File.Mode, Size: st.Size(), ModTime: s.File.ModTime}, open)
}

// single copies one file with this name to Dest.
func (k *copier) single(name string, h *tar.Header, content func() (io.ReadCloser, error)) error {
	to, err := k.target(false, name)
	if err != nil {
		return err
	}
	return k.put(h, to, content)
}

// target returns where to copy an object that is named name in its source, and creates the
// directories that lead there. The content of a directory is copied into Dest itself.
func (k *copier) target(isDir bool, name string) (string, error) {
	if dir := k.Dest[:strings.LastIndex(k.Dest, "/")+1]; dir != "" {
		at, err := k.dest.resolve(dir)
		if err != nil {
			return "", err
		}
		if err := k.mkdirAll(at); err != nil {
			return "", err
		}
	}
	to, err := k.dest.resolve(k.Dest)
	if err != nil {
		return "", err
	}
	if isDir {
		return to, k.mkdirAll(path.Dir(to))
	}
	kind, err := k.dest.kind(to)
	if err != nil {
		return "", err
	}
	if kind == tar.TypeDir {
		to = path.Join(to, path.Base(name))
	}
	return to, k.mkdirAll(path.Dir(to))
}

// mkdirAll creates the directory at, a path without symbolic links, and those that lead to it.
func (k *copier) mkdirAll(at string) error {
	kind, err := k.dest.kind(at)
	switch {
	case err != nil:
		return err
	case kind == tar.TypeDir:
		return nil
	case kind != 0:
		return fmt.Errorf("/%s: %w", at, unix.ENOTDIR)
	}
	if err := k.mkdirAll(path.Dir(at)); err != nil {
		return err
	}
	h := &tar.Header{Typeflag: tar.TypeDir, Mode: 0o755, ModTime: k.Created}
	if k.Owner != nil {
		h.Uid, h.Gid = int(k.Owner.UID), int(k.Owner.GID)
	}
	return k.write(h, at, nil)
}

// put writes an entry with the attributes that the options of the instruction say.
func (k *copier) put(h *tar.Header, to string, content func() (io.ReadCloser, error)) error {
	kind, err := k.dest.kind(to)
	if err != nil {
		return err
	}
	switch isDir := h.Typeflag == tar.TypeDir; {
	case kind == 0, isDir && kind == tar.TypeDir, !isDir && kind != tar.TypeDir:
	case isDir:
		return fmt.Errorf("cannot copy a directory to /%s, which is not a directory", to)
	default:
		return fmt.Errorf("cannot copy a file to /%s, which is a directory", to)
	}
	if k.Owner != nil {
		h.Uid, h.Gid = int(k.Owner.UID), int(k.Owner.GID)
	}
	if h.Typeflag != tar.TypeSymlink {
		switch {
		case k.modes != nil:
			h.Mode = fromFileMode(k.modes.Apply(toFileMode(h.Mode, h.Typeflag == tar.TypeDir)))
		case k.mode >= 0:
			h.Mode = k.mode
		}
	}
	return k.write(h, to, content)
}

// write emits an entry for the path to.
func (k *copier) write(h *tar.Header, to string, content func() (io.ReadCloser, error)) error {
	if strings.HasPrefix(path.Base(to), ".wh.") {
		return fmt.Errorf("/%s: names that begin with .wh. cannot be in a layer, where they mean removed files", to)
	}
	k.dest.made[to] = h.Typeflag
	h.Name = to
	if h.Typeflag == tar.TypeDir {
		h.Name += "/"
	}
	return k.emit(h, content)
}

// toFileMode returns the mode bits of an entry in the form of package os.
func toFileMode(mode int64, isDir bool) os.FileMode {
	m := os.FileMode(mode & 0o777)
	for bit, flag := range fileModes {
		if mode&bit != 0 {
			m |= flag
		}
	}
	if isDir {
		m |= os.ModeDir
	}
	return m
}

func fromFileMode(m os.FileMode) int64 {
	mode := int64(m.Perm())
	for bit, flag := range fileModes {
		if m&flag != 0 {
			mode |= bit
		}
	}
	return mode
}

var fileModes = map[int64]os.FileMode{unix.S_ISUID: os.ModeSetuid, unix.S_ISGID: os.ModeSetgid, unix.S_ISVTX: os.ModeSticky}

// unpack copies the content of an archive into the directory Dest. Done is false if the file is
// no archive.
func (k *copier) unpack(open func() (io.ReadCloser, error)) (done bool, err error) {
	f, err := open()
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	plain, err := decompress(f)
	if err != nil {
		return false, nil // it only begins like a compressed file
	}
	r := tar.NewReader(plain)
	h, err := r.Next()
	if err != nil {
		return false, nil
	}
	top, err := k.dest.resolve(k.Dest)
	if err != nil {
		return true, err
	}
	if err := k.mkdirAll(top); err != nil {
		return true, err
	}
	for ; err == nil; h, err = r.Next() {
		if err := k.member(h, r, top); err != nil {
			return true, fmt.Errorf("unpacking %q: %w", h.Name, err)
		}
	}
	if err != io.EOF {
		return true, fmt.Errorf("reading the archive: %w", err)
	}
	return true, nil
}

// member copies a member of an archive below the directory top.
func (k *copier) member(h *tar.Header, r io.Reader, top string) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	to, err := k.memberPath(h.Name, top)
	if err != nil {
		return err
	}
	out := &tar.Header{
		Typeflag: h.Typeflag, Mode: h.Mode & 0o7777, Uid: h.Uid, Gid: h.Gid, Size: h.Size, Linkname: h.Linkname,
		ModTime: time.Unix(h.ModTime.Unix(), 0), Devmajor: h.Devmajor, Devminor: h.Devminor,
	}
	for key, value := range h.PAXRecords {
		if strings.HasPrefix(key, "SCHILY.") && key != "SCHILY.realsize" {
			if out.PAXRecords == nil {
				out.PAXRecords = map[string]string{}
			}
			out.PAXRecords[key] = value
		}
	}
	switch h.Typeflag {
	case tar.TypeLink:
		if out.Linkname, err = k.memberPath(h.Linkname, top); err != nil {
			return fmt.Errorf("hard link to %q: %w", h.Linkname, err)
		}
	case tar.TypeCont, tar.TypeGNUSparse:
		out.Typeflag = tar.TypeReg
	}
	if to == top && h.Typeflag == tar.TypeDir {
		return nil // the directory is there, and keeps its attributes
	}
	if err := k.mkdirAll(path.Dir(to)); err != nil {
		return err
	}
	if k.Owner != nil {
		out.Uid, out.Gid = int(k.Owner.UID), int(k.Owner.GID)
	}
	var content func() (io.ReadCloser, error)
	if out.Typeflag == tar.TypeReg {
		content = func() (io.ReadCloser, error) { return io.NopCloser(r), nil }
	}
	return k.write(out, to, content)
}

// memberPath returns the path for a member of an archive.
func (k *copier) memberPath(name, top string) (string, error) {
	for component := range strings.SplitSeq(name, "/") {
		if component == ".." {
			return "", errors.New(`the path has a component "..", which could lead out of the archive's directory`)
		}
	}
	dir, base := path.Split(path.Clean("/" + name))
	if base == "" {
		return top, nil
	}
	dir, err := k.dest.resolve(top + dir)
	return path.Join(dir, base), err
}
