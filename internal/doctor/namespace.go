package doctor

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/userns"
)

// userNamespace checks whether a user namespace with one mapped id can be created, and a mount
// namespace in it: if AppArmor restricts user namespaces, the former still succeeds.
//
// It starts a process without a program, which fails with ENOENT as its last step if all
// namespaces could be created.
func userNamespace(*Machine) (string, error) {
	_, err := os.StartProcess("", nil, &os.ProcAttr{Sys: &syscall.SysProcAttr{
		Cloneflags:   unix.CLONE_NEWUSER,
		Unshareflags: unix.CLONE_NEWNS,
		UidMappings:  []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings:  []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}})
	if errors.Is(err, unix.ENOENT) {
		return "with a single mapped id", nil
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		err = errno // without the name of the program, which is empty
	}
	return "", userns.Explain(err)
}
