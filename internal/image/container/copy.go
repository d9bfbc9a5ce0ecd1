package container

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/rootless-containers/subuidless/internal/image/containerfiles"
	"github.com/rootless-containers/subuidless/internal/image/store"
)

// CopyOptions are the options of CopyOut and CopyIn.
type CopyOptions struct {
	Follow  bool // follow a symbolic link that is the source
	Archive bool // CopyIn: keep the owners of the host
	Warn    func(string)
}

// place says where a copy goes.
type place struct {
	dir string // an existing directory
	as  string // the name in it; ".": what is in the source goes to the directory itself
}

// target is what is at the destination of a copy.
type target struct{ found, isDir, parentFound bool }

// placeOf returns where a copy of source goes at the destination to, as docker cp does it.
func placeOf(source, to string, sourceIsDir bool, t target) (place, error) {
	contents := strings.HasSuffix(source, "/.") || source == "."
	dir, base := path.Split(strings.TrimRight(to, "/"))
	if dir == "" {
		dir = "."
	}
	switch {
	case t.isDir && sourceIsDir && contents:
		return place{to, "."}, nil
	case t.isDir:
		as := path.Base(path.Clean("/" + source))
		if as == "/" {
			as = "."
		}
		return place{to, as}, nil
	case t.found && sourceIsDir:
		return place{}, fmt.Errorf("%s is not a directory, so a directory cannot be copied there", to)
	case t.found && strings.HasSuffix(to, "/"):
		return place{}, fmt.Errorf("%s is not a directory", to)
	case !t.found && (!t.parentFound || strings.HasSuffix(to, "/") && !sourceIsDir):
		return place{}, fmt.Errorf("the directory of %s does not exist", to)
	}
	return place{dir, base}, nil
}

// CopyOut copies the file or directory from of the container to the path to of the host; "-" means
// that it writes a tar archive to the standard output. The copies belong to the caller.
func CopyOut(c *store.Container, from, to string, o CopyOptions) error {
	return withRoot(c, false, func(root containerfiles.Root) error {
		st, err := containerfiles.StatFile(root, from, o.Follow || strings.HasSuffix(from, "/"))
		if err != nil {
			return err
		}
		if !st.Found {
			return fmt.Errorf("container %s has no file %s", c.Name, from)
		}
		follow := o.Follow || strings.HasSuffix(from, "/") || strings.HasSuffix(from, "/.")
		if to == "-" {
			as := path.Base(path.Clean("/" + from))
			if as == "/" || strings.HasSuffix(from, "/.") {
				as = "."
			}
			return containerfiles.Archive(root, from, as, follow, os.Stdout, o.Warn)
		}
		if real, err := filepath.EvalSymlinks(to); err == nil && !strings.HasSuffix(to, "/") {
			to = real
		}
		p, err := placeOf(from, to, st.Mode.IsDir(), localTarget(to))
		if err != nil {
			return err
		}
		r, w := io.Pipe()
		done := make(chan error, 1)
		go func() {
			err := containerfiles.Archive(root, from, p.as, follow, w, o.Warn)
			w.CloseWithError(err)
			done <- err
		}()
		err = extractLocally(r, p.dir, o.Warn)
		r.CloseWithError(err)
		if e := <-done; e != nil && (err == nil || errors.Is(err, e)) {
			return e
		}
		return err
	})
}

// localTarget returns what is at a path of the host.
func localTarget(to string) target {
	var t target
	if st, err := os.Stat(to); err == nil {
		t.found, t.isDir = true, st.IsDir()
	}
	st, err := os.Stat(filepath.Dir(strings.TrimRight(to, "/")))
	t.parentFound = err == nil && st.IsDir()
	return t
}

// CopyIn copies the file or directory from of the host, or with "-" the tar archive of the
// standard input, to the path to of the container. The copies belong to root unless o.Archive
// is set, and the files of an archive keep its owners.
func CopyIn(c *store.Container, from, to string, o CopyOptions) error {
	return withRoot(c, true, func(root containerfiles.Root) error {
		to, t, err := containerTarget(root, to)
		if err != nil {
			return err
		}
		if from == "-" {
			if !t.isDir {
				return fmt.Errorf("container %s: %s is not a directory, so an archive cannot be unpacked there", c.Name, to)
			}
			return containerfiles.Extract(root, to, os.Stdin, o.Warn)
		}
		stat := os.Lstat
		follow := o.Follow || strings.HasSuffix(from, "/") || strings.HasSuffix(from, "/.")
		if follow {
			stat = os.Stat
		}
		st, err := stat(from)
		if err != nil {
			return err
		}
		name := from
		if abs, err := filepath.Abs(from); err == nil && filepath.Clean(from) != "." {
			name = abs
			if strings.HasSuffix(from, "/.") {
				name += "/."
			}
		}
		p, err := placeOf(name, to, st.IsDir(), t)
		if err != nil {
			return fmt.Errorf("container %s: %w", c.Name, err)
		}
		r, w := io.Pipe()
		done := make(chan error, 1)
		go func() {
			err := archiveLocally(w, from, p.as, follow, o)
			w.CloseWithError(err)
			done <- err
		}()
		err = containerfiles.Extract(root, p.dir, r, o.Warn)
		r.CloseWithError(errCopied)
		if e := <-done; e != nil && !errors.Is(e, errCopied) {
			return e
		}
		return err
	})
}

// errCopied ends what writes to a process that has ended.
var errCopied = errors.New("copied")

// maxLinks is the number of symbolic links that are followed: path_resolution(7).
const maxLinks = 40

// containerTarget returns what is at a path of the container, and the path without a symbolic
// link in the last component.
func containerTarget(root containerfiles.Root, to string) (string, target, error) {
	if !path.IsAbs(to) {
		to = "/" + to
	}
	for range maxLinks {
		st, err := containerfiles.StatFile(root, to, false)
		if err != nil {
			return "", target{}, err
		}
		if st.Mode&os.ModeSymlink == 0 {
			t := target{found: st.Found, isDir: st.Mode.IsDir(), parentFound: st.Found}
			if !st.Found {
				above, err := containerfiles.StatFile(root, path.Dir(strings.TrimRight(to, "/")), true)
				if err != nil {
					return "", target{}, err
				}
				t.parentFound = above.Found && above.Mode.IsDir()
			}
			return to, t, nil
		}
		if !path.IsAbs(st.Link) {
			st.Link = path.Join(path.Dir(path.Clean(to)), st.Link)
		}
		to = st.Link
	}
	return "", target{}, fmt.Errorf("%s: too many levels of symbolic links", to)
}
