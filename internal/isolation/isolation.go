// Package isolation chooses what separates containers from the host: new namespaces, or only
// chroot(2) where the kernel or an outer container forbids those.
//
// Choose is pure. Current asks the kernel once per process.
package isolation

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/supervisor"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// Mode is what separates containers from the host, and who gives files and processes their ids.
type Mode int

// The modes.
const (
	// Namespaces means new namespaces, a user namespace among them, and a supervisor that
	// emulates all ids.
	Namespaces Mode = iota
	// Nested means new namespaces in a container of subuidless, whose supervisor emulates ids.
	Nested
	// Chroot means chroot(2) only, without mounts, and ids of the kernel: chown(2) and setuid(2)
	// do what they say.
	Chroot
)

// NativeOwners reports whether chown(2), mknod(2) and setxattr(2) give files what they say: the
// caller then writes no records.
func (m Mode) NativeOwners() bool { return m != Namespaces }

// Facts are what the choice depends on.
type Facts struct {
	Supervised bool     // a supervisor of subuidless handles the system calls of the caller
	Root       bool     // the effective uid of the caller is 0
	Initial    bool     // the caller is in the initial user namespace, as mknod(2) of devices needs it
	Lacking    []string // the capabilities that Chroot needs and the caller lacks
	Namespaces error    // why the caller cannot supervise a container in new namespaces; nil: it can
}

// Choose returns the mode for the facts. The error says why none works: then the mode is
// Namespaces, whose own errors are the best ones.
func (f *Facts) Choose() (Mode, error) {
	switch {
	case f.Supervised:
		return Nested, nil
	case f.Namespaces == nil:
		return Namespaces, nil
	case f.mayChroot():
		return Chroot, nil
	case f.Root && !f.Initial:
		return Namespaces, fmt.Errorf("%w\nand chroot with native ids needs the initial user namespace, because of device nodes: in one of its own, root of the outer container may create others if it has CAP_SYS_ADMIN there", f.Namespaces)
	case f.Root:
		return Namespaces, fmt.Errorf("%w\nand for chroot with native ids, the capabilities %s are missing: give them to the outer container (they are among docker's defaults)",
			f.Namespaces, strings.Join(f.Lacking, ", "))
	}
	return Namespaces, fmt.Errorf("%w\nand chroot with native ids needs root: run the outer container as uid 0, with docker's default capabilities", f.Namespaces)
}

// mayChroot reports whether the caller has what Chroot needs.
func (f *Facts) mayChroot() bool { return f.Root && f.Initial && len(f.Lacking) == 0 }

// chrootCapabilities are the capabilities that Chroot needs: to unpack files of all kinds and
// owners, and to switch users. All of them are among docker's defaults.
var chrootCapabilities = []struct {
	name   string
	number int
}{
	{"CAP_CHOWN", unix.CAP_CHOWN},
	{"CAP_DAC_OVERRIDE", unix.CAP_DAC_OVERRIDE},
	{"CAP_FOWNER", unix.CAP_FOWNER},
	{"CAP_FSETID", unix.CAP_FSETID},
	{"CAP_KILL", unix.CAP_KILL},
	{"CAP_SETGID", unix.CAP_SETGID},
	{"CAP_SETUID", unix.CAP_SETUID},
	{"CAP_SYS_CHROOT", unix.CAP_SYS_CHROOT},
	{"CAP_MKNOD", unix.CAP_MKNOD},
	{"CAP_SETFCAP", unix.CAP_SETFCAP},
}

// lacking returns the names of chrootCapabilities that are not in the set effective.
func lacking(effective uint64) []string {
	var names []string
	for _, c := range chrootCapabilities {
		if effective>>c.number&1 == 0 {
			names = append(names, c.name)
		}
	}
	return names
}

// Examine returns all facts about the calling process.
func Examine() (*Facts, error) {
	f, err := cheapFacts()
	if err == nil && !f.Supervised {
		f.Namespaces = tryNamespaces()
	}
	return f, err
}

// cheapFacts returns the facts that cost no process.
func cheapFacts() (*Facts, error) {
	f := &Facts{Supervised: supervisor.Active(), Root: os.Geteuid() == 0}
	var err error
	if f.Initial, err = InInitialUserNamespace(); err != nil {
		return nil, err
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return nil, os.NewSyscallError("capget", err)
	}
	f.Lacking = lacking(uint64(data[1].Effective)<<32 | uint64(data[0].Effective))
	return f, nil
}

// InInitialUserNamespace reports whether the caller is in the initial user namespace: only that
// one maps every id to itself.
func InInitialUserNamespace() (bool, error) {
	uids, err := os.ReadFile("/proc/self/uid_map")
	return strings.Join(strings.Fields(string(uids)), " ") == "0 0 4294967295", err
}

// tryNamespaces returns why a supervised container in new namespaces is impossible.
func tryNamespaces() error {
	if err := userns.Try(); err != nil {
		return fmt.Errorf("user namespaces cannot be used: %w", err)
	}
	if err := TryPidfdGetfd(); err != nil {
		return fmt.Errorf("the supervisor cannot get the seccomp listener: %w", err)
	}
	return nil
}

// TryPidfdGetfd returns why pidfd_getfd(2), which supervisors need, cannot be used: a kernel
// older than Linux 5.6, or a seccomp profile, may refuse it.
func TryPidfdGetfd() error {
	pidfd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	defer unix.Close(pidfd)
	fd, err := unix.PidfdGetfd(pidfd, pidfd, 0)
	if err != nil {
		return os.NewSyscallError("pidfd_getfd", err)
	}
	return unix.Close(fd)
}

// Current returns the mode of the containers of this process. Where none works, it is
// Namespaces.
var Current = sync.OnceValue(func() Mode {
	f, err := cheapFacts()
	if err != nil {
		return Namespaces
	}
	if f.mayChroot() && !f.Supervised { // otherwise, Chroot is out of the question
		f.Namespaces = tryNamespaces()
	}
	m, _ := f.Choose()
	return m
})

// ErrNeedsNamespaces is wrapped by errors about what Chroot cannot do.
var ErrNeedsNamespaces = errors.New("needs namespaces and mounts, which are forbidden here: containers run by chroot with native ids (subuidless doctor says why)")
