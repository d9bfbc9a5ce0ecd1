package container

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// archiveLocally writes the file or directory from of the host, which is called as in the
// archive, to w.
func archiveLocally(w io.Writer, from, as string, follow bool, o CopyOptions) error {
	if follow {
		real, err := filepath.EvalSymlinks(from)
		if err != nil {
			return err
		}
		from = real
	}
	tw := tar.NewWriter(w)
	links := map[[2]uint64]string{}
	err := filepath.WalkDir(from, func(file string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, file)
		if err != nil {
			return err
		}
		return addLocally(tw, file, path.Join(as, rel), links, o)
	})
	if err != nil {
		return err
	}
	return tw.Close()
}

func addLocally(tw *tar.Writer, file, name string, links map[[2]uint64]string, o CopyOptions) error {
	info, err := os.Lstat(file)
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSocket != 0 {
		o.Warn(file + ": sockets cannot be copied, and are left out")
		return nil
	}
	link := ""
	if info.Mode()&os.ModeSymlink != 0 {
		if link, err = os.Readlink(file); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	h.Format, h.Name, h.Uname, h.Gname = tar.FormatPAX, name, "", ""
	if info.IsDir() {
		h.Name += "/"
	}
	if !o.Archive {
		h.Uid, h.Gid = 0, 0
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink > 1 && info.Mode().IsRegular() {
		id := [2]uint64{uint64(st.Dev), st.Ino}
		if first, found := links[id]; found {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
		} else {
			links[id] = name
		}
	}
	if err := tw.WriteHeader(h); err != nil || h.Typeflag != tar.TypeReg {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.CopyN(tw, f, h.Size); err != nil {
		if err == io.EOF {
			err = errors.New("it has become shorter while it was read")
		}
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// extractLocally unpacks an archive into the directory dir of the host, which its names and
// links do not leave. What it creates belongs to the caller.
func extractLocally(r io.Reader, dir string, warn func(string)) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	type closed struct {
		name string
		h    *tar.Header
	}
	var dirs []closed // their modes and times are set in the end
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		name := path.Clean(strings.TrimPrefix(h.Name, "/"))
		if err := extractEntry(root, name, h, tr, warn); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(dir, name), err)
		}
		if h.Typeflag == tar.TypeDir && name != "." {
			dirs = append(dirs, closed{name, h})
		}
	}
	for i := len(dirs) - 1; i >= 0; i-- {
		d := dirs[i]
		if err := setAttributes(root, d.name, d.h); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(dir, d.name), err)
		}
	}
	return nil
}

func extractEntry(root *os.Root, name string, h *tar.Header, r io.Reader, warn func(string)) error {
	if h.Typeflag == tar.TypeDir {
		err := root.Mkdir(name, 0o700)
		if st, e := root.Stat(name); errors.Is(err, os.ErrExist) && e == nil && st.IsDir() {
			err = nil
		}
		return err
	}
	if st, err := root.Lstat(name); err == nil {
		if !st.Mode().IsRegular() && st.Mode()&os.ModeSymlink == 0 {
			return errors.New("it is no longer a regular file")
		}
		if err := root.Remove(name); err != nil {
			return err
		}
	}
	switch h.Typeflag {
	case tar.TypeReg:
		f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, r)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	case tar.TypeSymlink:
		return root.Symlink(h.Linkname, name)
	case tar.TypeLink:
		return root.Link(path.Clean(h.Linkname), name)
	case tar.TypeFifo:
		if err := mkfifo(root, name); err != nil {
			return err
		}
	default:
		warn(h.Name + ": only root can create a device, so it is left out")
		return nil
	}
	return setAttributes(root, name, h)
}

func mkfifo(root *os.Root, name string) error {
	dir, err := root.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	return os.NewSyscallError("mkfifo", unix.Mkfifoat(int(dir.Fd()), path.Base(name), 0o600))
}

func setAttributes(root *os.Root, name string, h *tar.Header) error {
	if err := root.Chmod(name, h.FileInfo().Mode()&(os.ModePerm|os.ModeSetuid|os.ModeSetgid|os.ModeSticky)); err != nil {
		return err
	}
	return root.Chtimes(name, h.ModTime, h.ModTime)
}
