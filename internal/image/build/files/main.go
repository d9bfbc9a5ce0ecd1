package files

import (
	"archive/tar"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/helper"
	"github.com/rootless-containers/subuidless/internal/image/layer"
	"github.com/rootless-containers/subuidless/internal/owner"
)

// Main is the main function of the process. It ends when its parent closes the pipe of jobs.
func Main() int {
	unix.CloseOnExec(helper.FDLock)
	unix.Umask(0)
	var mu sync.Mutex
	encoder := json.NewEncoder(os.NewFile(helper.FDResults, "results"))
	answer := func(r result) error {
		mu.Lock()
		defer mu.Unlock()
		return encoder.Encode(r)
	}
	m := &maker{store: os.Args[1], warn: func(message string) {
		_ = answer(result{Warning: message}) // if the parent is gone, the next answer ends this process
	}}
	if err := m.start(os.Args[2] == "true"); err != nil {
		_ = answer(result{Error: err.Error()})
		return 1
	}
	jobs := make(chan job)
	go func() {
		for d := json.NewDecoder(os.NewFile(helper.FDJobs, "jobs")); ; {
			var j job
			if d.Decode(&j) != nil {
				os.Exit(0) // the parent has ended, or wants this process to; it removes what is half-made
			}
			jobs <- j
		}
	}()
	for {
		j := <-jobs
		r, err := m.do(&j)
		if err != nil {
			r = result{Error: err.Error()}
		}
		if answer(r) != nil {
			return 1
		}
	}
}

// maker does the jobs.
type maker struct {
	store  string       // its directory
	owners *owner.Store // nil: no records are needed
	warn   func(message string)
}

func (m *maker) start(native bool) (err error) {
	// Package sys expects it.
	if err := os.Chdir("/proc"); err != nil {
		return err
	}
	m.owners, err = helper.OpenOwners(native)
	return err
}

func (m *maker) do(j *job) (r result, err error) {
	switch {
	case j.Hash != nil:
		sum := sha256.New()
		err := m.copy(j.Hash, hashEntries(sum))
		return result{Digest: digestOf(sum)}, err
	case j.Dir != nil:
		return r, m.apply(j.Dir.Path, nil, rootEntry(j.Dir))
	case j.Copy != nil:
		r.Layer, err = m.archive(j, j.Copy.Lower, func(w io.Writer) error {
			t := tar.NewWriter(w)
			if err := m.copy(j.Copy, writeEntries(t, j.Copy.Latest)); err != nil {
				return err
			}
			return t.Close()
		})
	case j.Change != nil:
		c := j.Change
		if err := removeStubs(c); err != nil {
			return r, err
		}
		r.Layer, err = m.archive(j, c.Lower, func(w io.Writer) error {
			t := layer.NewWriter(w, m.warn)
			t.Latest = c.Latest
			if err := t.Changes(&c.Changed, m.owners); err != nil {
				return err
			}
			return t.Close()
		})
	default:
		r.Layer, err = m.archive(j, nil, func(w io.Writer) error { return m.tree(w, j.Tree) })
	}
	return r, err
}

// archive writes the archive of a layer, and unpacks it if the job wants that.
func (m *maker) archive(j *job, lower []string, write func(io.Writer) error) (*Layer, error) {
	var apply func(io.Reader) error
	if j.Unpack != "" {
		apply = func(r io.Reader) error { return m.apply(j.Unpack, lower, r) }
	}
	l, err := archive(j.Archive, j.Tree == nil, write, apply)
	return l, helper.Explain(err, m.store)
}

// apply unpacks an archive in dir, on top of the layers in lower.
func (m *maker) apply(dir string, lower []string, r io.Reader) error {
	u := &layer.Unpacker{Owners: m.owners, Limits: layer.DefaultLimits, Warn: m.warn}
	return u.Apply(dir, lower, r)
}

// copy gives the entries of c to emit.
func (m *maker) copy(c *Copy, emit emitter) error {
	k, err := newCopier(c, m.owners, emit)
	if err != nil {
		return err
	}
	return errors.Join(k.run(), k.close())
}

// tree writes the tree of the layers as one archive.
func (m *maker) tree(w io.Writer, layers []string) error {
	stack, err := layer.OpenStack(layers)
	if err != nil {
		return err
	}
	tree, t := &layer.Tree{Stack: stack, Owners: m.owners}, layer.NewWriter(w, m.warn)
	top, err := tree.Lookup(".", false)
	if err == nil {
		err = t.All(tree, top, ".")
	}
	return errors.Join(err, stack.Close(), t.Close())
}

// rootEntry returns an archive with an entry for its root only.
func rootEntry(d *directory) io.Reader {
	var b strings.Builder
	t := tar.NewWriter(&b)
	err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: d.Mode, Uid: int(d.Owner.UID), Gid: int(d.Owner.GID), ModTime: time.Now()})
	if err = errors.Join(err, t.Close()); err != nil {
		return errorReader{err}
	}
	return strings.NewReader(b.String())
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

// removeStubs removes the mount points that have been created for the container, and the
// directories that lead there, if they are new and empty. Those in c.Skip, whatever is there, belong
// to no layer. Directories that were there before get
// their times back.
func removeStubs(c *Change) error {
	below, err := layer.OpenStack(c.Lower)
	if err != nil {
		return err
	}
	defer below.Close()
	old, root := &layer.Tree{Stack: below}, cmp.Or(c.Upper, c.Copy)
	for _, stub := range c.Stubs {
		for at := path.Clean(stub); at != "/"; at = path.Dir(at) {
			if _, err := old.Lookup(at, false); err == nil {
				break // it was there
			}
			if slices.Contains(c.Skip, at) {
				if err := removeTree(root, at); err != nil {
					return err
				}
			} else if removed, err := removeStub(root, at); err != nil {
				return err
			} else if !removed {
				break
			}
			if err := restoreTimes(old, root, path.Dir(at)); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeTree removes what is at.
func removeTree(root, at string) error {
	dir, err := openBelow(root, path.Dir(at))
	if err != nil {
		return nil // not a directory that has been created for a mount
	}
	defer unix.Close(dir)
	return layer.RemoveAt(dir, path.Base(at))
}

// removeStub removes the empty file or directory at, and reports whether it is gone.
func removeStub(upper, at string) (bool, error) {
	dir, err := openBelow(upper, path.Dir(at))
	if err != nil {
		return errors.Is(err, unix.ENOENT), nil // not a directory that has been created for a mount
	}
	defer unix.Close(dir)
	var st unix.Stat_t
	switch err := unix.Fstatat(dir, path.Base(at), &st, unix.AT_SYMLINK_NOFOLLOW); {
	case err == unix.ENOENT:
		return true, nil
	case err != nil:
		return false, err
	}
	flags := 0
	switch {
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		flags = unix.AT_REMOVEDIR
	case st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > 0:
		return false, nil
	}
	switch err := unix.Unlinkat(dir, path.Base(at), flags); err {
	case nil:
		return true, nil
	case unix.ENOTEMPTY, unix.EEXIST:
		return false, nil
	default:
		return false, err
	}
}

// openBelow opens a directory below root. Symbolic links, which a container may have made, are
// not followed.
func openBelow(root, name string) (int, error) {
	top, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(top)
	return unix.Openat2(top, path.Join(".", name), &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
}

// restoreTimes gives a directory of the upper directory the times that it has below, if it is
// there.
func restoreTimes(old *layer.Tree, upper, name string) error {
	o, err := old.Lookup(name, false)
	if err != nil {
		return nil
	}
	h, err := old.Header(o)
	if err != nil {
		return err
	}
	dir, err := openBelow(upper, name)
	if err != nil {
		return nil
	}
	defer unix.Close(dir)
	t := unix.NsecToTimeval(h.ModTime.UnixNano())
	return unix.Futimes(dir, []unix.Timeval{t, t})
}
