package userns

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// NewProcAttr returns the attributes of a process in a new user namespace, which maps root to
// the caller's uid and gid and nothing else. Namespaces are the clone(2) flags of further new
// namespaces.
func NewProcAttr(namespaces uintptr) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | namespaces,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		// The kernel accepts a gid mapping from a process without CAP_SETGID only
		// after setgroups(2) has been disabled: user_namespaces(7).
		GidMappingsEnableSetgroups: false,
	}
}

// Try creates a user namespace with one mapped id and a mount namespace in it, and returns why
// that is impossible, with what the user can do. If AppArmor restricts user namespaces, creating
// the former still succeeds.
//
// It starts a process without a program, which fails with ENOENT as its last step if all
// namespaces could be created.
func Try() error {
	attr := NewProcAttr(0)
	attr.Unshareflags = unix.CLONE_NEWNS
	_, err := syscall.ForkExec("", nil, &syscall.ProcAttr{Sys: attr})
	if err == syscall.ENOENT {
		return nil
	}
	return Explain(err)
}
