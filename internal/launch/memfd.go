package launch

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// memfd returns an anonymous file: memfd_create(2) with flags and MFD_CLOEXEC.
func memfd(name string, flags int) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|flags)
	if err != nil {
		return nil, fmt.Errorf("memfd_create(%s): %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// sealedSelf returns a copy of this program whose content cannot be changed any more.
func sealedSelf() (*os.File, error) {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil, fmt.Errorf("copying this program: %w", err)
	}
	defer self.Close()
	exe, err := executableMemfd("subuidless")
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(exe, self); err != nil {
		return nil, errors.Join(fmt.Errorf("copying this program: %w", err), exe.Close())
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(exe.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return nil, errors.Join(fmt.Errorf("sealing the copy of this program: %w", err), exe.Close())
	}
	return exe, nil
}

// executableMemfd returns an anonymous file that can be sealed and executed.
func executableMemfd(name string) (*os.File, error) {
	exe, err := memfd(name, unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	switch {
	case errors.Is(err, unix.EINVAL):
		// Before Linux 6.3 there is no MFD_EXEC, and every memfd can be executed.
		return memfd(name, unix.MFD_ALLOW_SEALING)
	case errors.Is(err, unix.EACCES):
		return nil, fmt.Errorf("%w: vm.memfd_noexec is 2, which forbids subuidless to execute a copy of itself; as root, run: sysctl -w vm.memfd_noexec=1", err)
	}
	return exe, err
}
