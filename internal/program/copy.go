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
// permissions, and the kernel denies the user writing. Processes in a user namespace that maps the ids of
// the user have no capabilities over a file of somebody else. The file of the user himself, who may
// change its mode, is copied to an anonymous file that is sealed: without the image program.
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
	return exe, fill(exe, self, 0, l.main)
}

// deniesWriting reports whether the file f belongs to another user, who does not let the caller write it.
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

// imageProgram returns a file with the image program, which can be executed.
func imageProgram() (*os.File, error) {
	self, l, err := openSelf()
	if err != nil {
		return nil, err
	}
	defer self.Close()
	if l.main == l.image {
		return nil, ErrIncomplete
	}
	exe, err := executableMemfd(imageName)
	if errors.Is(err, unix.EACCES) {
		return temporaryProgram(self, l.main, l.image)
	}
	if err != nil {
		return nil, err
	}
	return exe, fill(exe, self, l.main, l.image)
}

// installedImage returns the image program that is a file of its own, in the directory of the
// calling process's program, where go install writes both.
func installedImage() (*os.File, error) {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	exe, err := os.Open(filepath.Join(filepath.Dir(self), imageName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrIncomplete
	}
	return exe, err
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

// fill makes the bytes from start to end of from the content of the memfd exe, and seals it.
// It closes exe if it fails.
func fill(exe, from *os.File, start, end int64) error {
	if err := copyRange(exe, from, start, end); err != nil {
		return errors.Join(err, exe.Close())
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if e := sys.Seal(int(exe.Fd()), seals); e != 0 {
		return errors.Join(fmt.Errorf("sealing a copy of this program: %w", e), exe.Close())
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

// temporaryProgram is imageProgram for kernels that forbid to execute memfds: the file has no
// name, in the first directory for temporary files that allows execution.
func temporaryProgram(self *os.File, start, end int64) (*os.File, error) {
	var errs []error
	for _, dir := range []string{os.Getenv("XDG_RUNTIME_DIR"), os.TempDir(), "/dev/shm", "/var/tmp"} {
		if dir == "" {
			continue
		}
		exe, err := temporaryIn(dir, self, start, end)
		if err == nil {
			return exe, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("vm.memfd_noexec is 2, and no directory for temporary files allows execution; as root, run: sysctl -w vm.memfd_noexec=1, or set TMPDIR: %w", errors.Join(errs...))
}

func temporaryIn(dir string, self *os.File, start, end int64) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o500)
	if err != nil {
		return nil, &os.PathError{Op: "creating a temporary file", Path: dir, Err: err}
	}
	f := os.NewFile(uintptr(fd), dir)
	defer f.Close() // the kernel does not execute files that are open for writing
	path := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	if err := unix.Access(path, unix.X_OK); err != nil {
		return nil, &os.PathError{Op: "executing files", Path: dir, Err: err}
	}
	if err := copyRange(f, self, start, end); err != nil {
		return nil, err
	}
	return os.Open(path)
}
