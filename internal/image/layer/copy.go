package layer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// copyFile copies an object that is no directory: name of the directory from becomes base in
// the directory to. Both names have no symbolic links.
func copyFile(from int, name string, to int, base string) error {
	src, err := openBeneath(from, name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return fmt.Errorf("/%s: %w", name, err)
	}
	defer unix.Close(src)
	dst, err := copyContent(src, to, base)
	if err != nil {
		return fmt.Errorf("copying /%s: %w", name, err)
	}
	defer unix.Close(dst)
	st, err := copyAttributes(src, dst)
	if err != nil {
		return fmt.Errorf("copying /%s: %w", name, err)
	}
	return setTimesOf(dst, time.Unix(st.Atim.Unix()), time.Unix(st.Mtim.Unix()))
}

// copyContent creates base in the directory to, with the type and content of src, and returns
// a descriptor of it.
func copyContent(src, to int, base string) (int, error) {
	var st unix.Stat_t
	if err := unix.Fstat(src, &st); err != nil {
		return -1, err
	}
	switch kind := st.Mode & unix.S_IFMT; kind {
	case unix.S_IFREG:
		in, e := sys.Reopen(src, unix.O_RDONLY|unix.O_CLOEXEC)
		if e != 0 {
			return -1, e
		}
		defer unix.Close(in)
		out, err := unix.Openat(to, base, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return -1, err
		}
		if err := copyData(in, out, st.Size); err != nil {
			unix.Close(out)
			return -1, err
		}
		return out, nil
	case unix.S_IFLNK:
		target, err := readlinkAt(src, "")
		if err != nil {
			return -1, err
		}
		if err := unix.Symlinkat(target, to, base); err != nil {
			return -1, err
		}
	case unix.S_IFIFO, unix.S_IFSOCK, unix.S_IFCHR, unix.S_IFBLK:
		if err := unix.Mknodat(to, base, kind|0o600, int(st.Rdev)); err != nil {
			return -1, err
		}
	default:
		return -1, errors.New("an unpacked layer has no files of this type")
	}
	return openBeneath(to, base, unix.O_PATH|unix.O_NOFOLLOW)
}

// copyData copies size bytes: as a reflink where the file system has them, and otherwise what
// is no hole.
func copyData(in, out int, size int64) error {
	if unix.IoctlFileClone(out, in) == nil {
		return nil
	}
	if err := unix.Ftruncate(out, size); err != nil {
		return err
	}
	// Not closed: the descriptors belong to the caller.
	for at := int64(0); at < size; {
		start, err := unix.Seek(in, at, unix.SEEK_DATA)
		if err == unix.ENXIO {
			return nil // a hole up to the end
		}
		if err != nil {
			start, err = at, nil // the file system does not know holes
		}
		end, err := unix.Seek(in, start, unix.SEEK_HOLE)
		if err != nil || end <= start {
			end = size
		}
		if err := copyRange(in, out, start, end); err != nil {
			return err
		}
		at = end
	}
	return nil
}

func copyRange(in, out int, start, end int64) error {
	for at := start; at < end; {
		from, to := at, at
		n, err := unix.CopyFileRange(in, &from, out, &to, int(min(end-at, 1<<30)), 0)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EXDEV || err == unix.EINVAL || err == unix.EOPNOTSUPP || err == unix.ENOSYS:
			return copyByReading(in, out, at, end)
		case err != nil:
			return err
		case n == 0:
			return io.ErrUnexpectedEOF
		}
		at += int64(n)
	}
	return nil
}

func copyByReading(in, out int, at, end int64) error {
	buf := make([]byte, 256<<10)
	for at < end {
		n, err := unix.Pread(in, buf[:min(int64(len(buf)), end-at)], at)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return io.ErrUnexpectedEOF
		}
		if err := pwriteAll(out, buf[:n], at); err != nil {
			return err
		}
		at += int64(n)
	}
	return nil
}

// copyAttributes copies the extended attributes, which hold the records, and the mode, and
// returns the status of src. Both may be O_PATH descriptors.
func copyAttributes(src, dst int) (*unix.Stat_t, error) {
	var st unix.Stat_t
	if err := unix.Fstat(src, &st); err != nil {
		return nil, err
	}
	if st.Uid != 0 || st.Gid != 0 { // within a container of subuidless; others see root's files only
		if err := unix.Fchownat(dst, "", int(st.Uid), int(st.Gid), unix.AT_EMPTY_PATH); err != nil {
			return nil, fmt.Errorf("chown: %w", err)
		}
	}
	from, to := procPath(src), procPath(dst)
	names, err := listXattrs(from)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if IsMark(name) || name == "security.selinux" {
			continue // not of the image
		}
		value, err := getXattr(from, name)
		if err != nil {
			return nil, fmt.Errorf("attribute %s: %w", name, err)
		}
		if err := unix.Setxattr(to, name, value, 0); err != nil {
			return nil, fmt.Errorf("attribute %s: %w", name, err)
		}
	}
	if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFLNK {
		if e := sys.FchmodOPath(dst, st.Mode&0o7777); e != 0 {
			return nil, fmt.Errorf("chmod: %w", e)
		}
	}
	return &st, nil
}

// procPath returns a path, relative to /proc, of the object that fd refers to, which may be an
// O_PATH descriptor and even one of a symbolic link.
func procPath(fd int) string { return string(sys.AppendFD(nil, fd)) }

func listXattrs(file string) ([]string, error) {
	buf := make([]byte, 1024)
	for {
		n, err := unix.Listxattr(file, buf)
		switch err {
		case nil:
			return strings.FieldsFunc(string(buf[:n]), func(r rune) bool { return r == 0 }), nil
		case unix.ERANGE:
			buf = make([]byte, 64<<10)
		case unix.EOPNOTSUPP:
			return nil, nil
		default:
			return nil, os.NewSyscallError("listxattr", err)
		}
	}
}

func getXattr(file, name string) ([]byte, error) {
	buf := make([]byte, 256)
	for {
		n, err := unix.Getxattr(file, name, buf)
		if err != unix.ERANGE {
			return buf[:max(n, 0)], err
		}
		buf = make([]byte, 64<<10)
	}
}
