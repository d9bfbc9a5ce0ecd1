package handlers

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/unotify"
)

// Calls by which a task restricts itself and the programs that it executes. A restriction
// could subvert set-user-ID programs, so the calls require CAP_SYS_ADMIN or no_new_privs.

// mayRestrictSelf reports whether the caller has CAP_SYS_ADMIN or no_new_privs.
func (c *Call) mayRestrictSelf() bool {
	if c.inRuntime() || !c.lacksCap(unix.CAP_SYS_ADMIN) {
		return true
	}
	noNewPrivs, _ := c.Target.Restrained()
	return noNewPrivs
}

// The flags of seccomp(2) for SECCOMP_SET_MODE_FILTER.
const filterFlags = unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_LOG | unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW |
	unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV |
	unotify.FlagAllowNestedListeners

// Seccomp handles seccomp(SECCOMP_SET_MODE_FILTER, flags, args).
func Seccomp(c *Call) Result {
	if c.uint32(1)&^filterFlags != 0 && !c.mayRestrictSelf() {
		return Errno(unix.EINVAL) // also if a newer kernel knows the flag
	}
	return c.installFilter(c.addr(2))
}

// maxFilter is BPF_MAXINSNS.
const maxFilter = 4096

// installFilter handles a call that installs the filter at the address prog.
//
// seccomp(2): "EACCES The caller did not have the CAP_SYS_ADMIN capability in its user
// namespace, or had not set no_new_privs before using SECCOMP_SET_MODE_FILTER."
func (c *Call) installFilter(prog uintptr) Result {
	var length [2]byte // of struct sock_fprog
	if n, e := c.Target.Read(prog, length[:]); e != 0 || n < len(length) {
		return Continue // EFAULT
	}
	if n := binary.NativeEndian.Uint16(length[:]); n == 0 || n > maxFilter {
		return Continue // EINVAL
	}
	if !c.mayRestrictSelf() {
		return Errno(unix.EACCES)
	}
	return Continue
}

// LandlockRestrictSelf handles landlock_restrict_self(ruleset_fd, flags).
//
// landlock_restrict_self(2): "EPERM ruleset_fd has no read access to the underlying ruleset,
// or the calling thread is not running with no_new_privs, or it doesn't have the
// CAP_SYS_ADMIN in its user namespace."
func LandlockRestrictSelf(c *Call) Result {
	if !c.mayRestrictSelf() {
		return Errno(unix.EPERM)
	}
	return Continue
}
