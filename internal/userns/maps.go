package userns

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// MappedID returns the first id that is mapped in the calling process's user namespace: the
// kernel shows it as the owner of the container's files. It need not be 0 (podman run
// --userns=keep-id). File is "uid_map" or "gid_map". It is an error if no id is mapped.
//
// user_namespaces(7): "Each line in the uid_map file specifies a 1-to-1 mapping of a range of
// contiguous user IDs". The first field is the start of the range inside the namespace.
func MappedID(file string) (uint32, error) {
	name := "/proc/self/" + file
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	var inside, outside, count uint32
	if _, err := fmt.Sscan(string(b), &inside, &outside, &count); err != nil {
		return 0, fmt.Errorf("%s maps no id (%q): %w; the user namespace must map one id", name, b, err)
	}
	return inside, nil
}

// Equal reports whether two descriptors of files in /proc/PID/ns refer to the same namespace:
// their device and inode numbers are equal (namespaces(7)). The error is that of fstat(2).
func Equal(fd1, fd2 int) (bool, error) {
	var a, b unix.Stat_t
	if err := unix.Fstat(fd1, &a); err != nil {
		return false, os.NewSyscallError("fstat", err)
	}
	if err := unix.Fstat(fd2, &b); err != nil {
		return false, os.NewSyscallError("fstat", err)
	}
	return a.Dev == b.Dev && a.Ino == b.Ino, nil
}

// IsOwn reports whether fd, a descriptor of /proc/PID/ns/user, refers to the user namespace of
// the calling process.
func IsOwn(fd int) (bool, error) {
	own, err := unix.Open("/proc/self/ns/user", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, &os.PathError{Op: "open", Path: "/proc/self/ns/user", Err: err}
	}
	defer unix.Close(own)
	return Equal(fd, own)
}
