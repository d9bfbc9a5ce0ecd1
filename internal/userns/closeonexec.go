package userns

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// CloseOnExec makes the program's descriptors from the number first on close-on-exec.
func CloseOnExec(first int) error {
	err := unix.CloseRange(uint(first), math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	if err == nil {
		return nil
	}
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) { // before Linux 5.11 and 5.9
		return fmt.Errorf("close_range: %w", err)
	}
	last, err := lastDescriptor()
	if err != nil {
		return err
	}
	for fd := first; fd <= last; fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil && !errors.Is(err, unix.EBADF) {
			return fmt.Errorf("making descriptor %d close-on-exec: %w", fd, err)
		}
	}
	return nil
}

// lastDescriptor returns the largest number of the program's descriptors.
func lastDescriptor() (int, error) {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return 0, err
	}
	last := 0
	for _, name := range names {
		if fd, err := strconv.Atoi(name); err == nil {
			last = max(last, fd)
		}
	}
	return last, nil
}
