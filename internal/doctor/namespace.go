package doctor

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/userns"
)

// userNamespace makes a user namespace with one id, and a mount namespace in
// it: where AppArmor restricts user namespaces, the first is still allowed.
//
// The process made for it has no program to run. That fails last, with
// ENOENT, after all that is to be tried.
func userNamespace(*Machine) (string, error) {
	_, err := os.StartProcess("", nil, &os.ProcAttr{Sys: &syscall.SysProcAttr{
		Cloneflags:   unix.CLONE_NEWUSER,
		Unshareflags: unix.CLONE_NEWNS,
		UidMappings:  []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings:  []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}})
	if errors.Is(err, unix.ENOENT) {
		return "with one id, of the user's own", nil
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		err = errno // without the name of the program that was not to be found
	}
	return "", userns.Explain(err)
}
