package program

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Memfd returns an anonymous file: memfd_create(2) with flags and MFD_CLOEXEC.
func Memfd(name string, flags int) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|flags)
	if err != nil {
		return nil, fmt.Errorf("memfd_create(%s): %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// ProtectedMain returns the calling process's program for processes of containers, which must not be
// able to change it. That is the file itself if trusted says that no other supervisor decides about
// permissions, and the kernel denies the user writing: processes in a user namespace that maps the
// user's ids have no capabilities over files of others. A file of the user's own, whose mode the user
// can change, is copied to a sealed anonymous file, without the image program.
func ProtectedMain(trusted bool) (*os.File, error) {
	self, l, err := openSelf()
	if err != nil {
		return nil, err
	}
	if trusted {
		denied, err := deniesWriting(self)
		if err != nil {
			return nil, errors.Join(err, self.Close())
		}
		if denied {
			return self, nil
		}
	}
	defer self.Close()
	exe, err := executableMemfd("subuidless")
	if errors.Is(err, unix.EACCES) {
		return nil, fmt.Errorf("%w: vm.memfd_noexec is 2, which forbids subuidless to execute a copy of itself; as root, run: sysctl -w vm.memfd_noexec=1", err)
	}
	if err != nil {
		return nil, err
	}
	if err := fill(exe, self, l); err != nil {
		return nil, errors.Join(err, exe.Close())
	}
	return exe, nil
}

// deniesWriting reports whether the file f belongs to another user, and the caller may not write it.
func deniesWriting(f *os.File) (bool, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return false, fmt.Errorf("examining this program: %w", err)
	}
	if int(st.Uid) == os.Geteuid() {
		return false, nil
	}
	err := unix.Faccessat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.W_OK, unix.AT_EACCESS)
	return errors.Is(err, unix.EACCES), nil
}

// installedImage returns the path of the image program that is a file of its own, in the directory
// of the calling process's program, where go install writes both.
func installedImage() (string, error) {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	path := filepath.Join(filepath.Dir(self), imageName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", ErrIncomplete
	}
	return path, nil
}

// executableMemfd returns an anonymous file that can be sealed and executed. The error is
// EACCES if vm.memfd_noexec is 2, which forbids such files.
func executableMemfd(name string) (*os.File, error) {
	exe, err := Memfd(name, unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) {
		// Before Linux 6.3 there is no MFD_EXEC, and every memfd can be executed.
		return Memfd(name, unix.MFD_ALLOW_SEALING)
	}
	return exe, err
}

// fill makes the main program of the file from the content of the memfd exe, and seals it.
func fill(exe, from *os.File, l layout) error {
	if err := copyRange(exe, from, 0, l.main); err != nil {
		return err
	}
	if _, err := exe.WriteAt(l.header, 0); err != nil {
		return fmt.Errorf("copying this program: %w", err)
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if e := sys.Seal(int(exe.Fd()), seals); e != 0 {
		return fmt.Errorf("sealing a copy of this program: %w", e)
	}
	return nil
}

// copyRange appends the bytes from start to end of from to to. sendfile(2) copies them once, read
// and write twice; copy_file_range(2) does not copy from one kind of file system to another.
func copyRange(to, from *os.File, start, end int64) error {
	for start < end {
		n, err := unix.Sendfile(int(to.Fd()), int(from.Fd()), &start, int(end-start))
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			break // a file system that does not support it, or an error that the next call finds, too
		}
	}
	if _, err := from.Seek(start, io.SeekStart); err != nil {
		return fmt.Errorf("copying this program: %w", err)
	}
	if _, err := io.CopyN(to, from, end-start); err != nil {
		return fmt.Errorf("copying this program: %w", err)
	}
	return nil
}
