// Package credtest lets tests compare the models of credentials and permissions
// (packages cred, perm and acl) with the kernel. It has threads with any credentials,
// and generators of random ones.
package credtest

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/rootless-containers/subuidless/internal/cred"
)

// allMapped matches the uid_map of a user namespace that maps every id.
var allMapped = regexp.MustCompile(`^\s*0\s+0\s+4294967295\s*$`)

// available are the capabilities that the tests can have. On some machines, root
// lacks some.
var available = Read().Bounding

// needed are the capabilities without which the tests are pointless.
const needed cred.Caps = 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID | 1<<unix.CAP_SETPCAP | 1<<unix.CAP_SETFCAP |
	1<<unix.CAP_CHOWN | 1<<unix.CAP_FOWNER | 1<<unix.CAP_FSETID | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_KILL

// NeedRoot skips t unless the test runs as root, in a user namespace that maps every
// id, with all capabilities of root.
func NeedRoot(t testing.TB) {
	t.Helper()
	uidMap, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	if c := Read(); c.UID != (cred.IDs{}) || !allMapped.Match(uidMap) || needed&^c.Effective != 0 || c.Effective != available {
		t.Skip("needs real root, to compare with the kernel")
	}
}

// Root returns the credentials of root, with the capabilities that the tests can have.
func Root() cred.Credentials {
	return cred.Credentials{Permitted: available, Effective: available, Bounding: available}
}

// Thread is a thread with its own credentials.
type Thread struct{ calls, done chan func() }

// NewThread starts a thread with the credentials of the calling thread. Close ends it.
func NewThread() *Thread {
	th := &Thread{make(chan func()), make(chan func())}
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		for f := range th.calls {
			f()
			th.done <- nil
		}
	}()
	return th
}

// Do runs f in the thread, and waits until it returns.
func (th *Thread) Do(f func()) {
	th.calls <- f
	<-th.done
}

// Close ends the thread.
func (th *Thread) Close() { close(th.calls) }

// Call makes one system call for the calling thread only, and returns its result. The
// functions of packages syscall and unix change the ids of all threads.
func Call(nr uintptr, args ...uint64) (uint64, unix.Errno) {
	var a [6]uintptr
	for n, arg := range args {
		a[n] = uintptr(arg)
	}
	r, _, e := syscall.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	return uint64(r), e
}

// must is Call, and panics on an error.
func must(nr uintptr, args ...uint64) uint64 {
	r, e := Call(nr, args...)
	if e != 0 {
		panic(fmt.Sprintf("system call %d %#x: %v", nr, args, e))
	}
	return r
}

// UnknownSecurebits returns the flags of PR_SET_SECUREBITS that package cred knows and this kernel does
// not: those of interpreters, before Linux 6.14.
var UnknownSecurebits = sync.OnceValue(func() (unknown uint64) {
	const execRestrictFile, execFlags = 1 << 8, 0xf << 8
	th := NewThread()
	defer th.Close()
	th.Do(func() {
		if _, e := Call(unix.SYS_PRCTL, unix.PR_SET_SECUREBITS, must(unix.SYS_PRCTL, unix.PR_GET_SECUREBITS)|execRestrictFile); e != 0 {
			unknown = execFlags
		}
	})
	return unknown
})

// Capget returns the capability sets of the calling thread. It panics on an error.
func Capget() (effective, permitted, inheritable cred.Caps) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		panic(err)
	}
	set := func(low, high uint32) cred.Caps { return cred.Caps(high)<<32 | cred.Caps(low) }
	return set(data[0].Effective, data[1].Effective), set(data[0].Permitted, data[1].Permitted),
		set(data[0].Inheritable, data[1].Inheritable)
}

// Capset sets the capability sets of the calling thread: see capset(2).
func Capset(effective, permitted, inheritable cred.Caps) unix.Errno {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{
		{Effective: uint32(effective), Permitted: uint32(permitted), Inheritable: uint32(inheritable)},
		{Effective: uint32(effective >> 32), Permitted: uint32(permitted >> 32), Inheritable: uint32(inheritable >> 32)},
	}
	_, _, e := syscall.RawSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data)), 0)
	return e
}

// Setgroups sets the supplementary groups of the calling thread: see setgroups(2).
func Setgroups(groups []uint32) unix.Errno {
	_, _, e := syscall.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(unsafe.SliceData(groups))), 0)
	return e
}

// Read returns the credentials of the calling thread. It panics on an error.
func Read() cred.Credentials {
	var c cred.Credentials
	read := func(ids *cred.IDs, getres, setfs uintptr) {
		_, _, e := syscall.RawSyscall(getres, uintptr(unsafe.Pointer(&ids.Real)),
			uintptr(unsafe.Pointer(&ids.Effective)), uintptr(unsafe.Pointer(&ids.Saved)))
		if e != 0 {
			panic(e)
		}
		ids.FS = uint32(must(setfs, 1<<32-1))
	}
	read(&c.UID, unix.SYS_GETRESUID, unix.SYS_SETFSUID)
	read(&c.GID, unix.SYS_GETRESGID, unix.SYS_SETFSGID)
	c.Effective, c.Permitted, c.Inheritable = Capget()
	for capability := range uint64(unix.CAP_LAST_CAP + 1) {
		c.Bounding |= cred.Caps(must(unix.SYS_PRCTL, unix.PR_CAPBSET_READ, capability)) << capability
		c.Ambient |= cred.Caps(must(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_IS_SET, capability)) << capability
	}
	c.Securebits = uint32(must(unix.SYS_PRCTL, unix.PR_GET_SECUREBITS))
	groups, err := unix.Getgroups()
	if err != nil {
		panic(err)
	}
	for _, gid := range groups {
		c.Groups = append(c.Groups, uint32(gid))
	}
	return c
}

// Become gives the calling thread, which must be root, the credentials c. It panics
// if c is not a state that a thread can be in.
func Become(c cred.Credentials) {
	if e := Setgroups(c.Groups); e != 0 {
		panic(e)
	}
	set := func(ids cred.IDs, setres, setfs uintptr) {
		must(setres, uint64(ids.Real), uint64(ids.Effective), uint64(ids.Saved))
		must(setfs, uint64(ids.FS))
	}
	set(c.GID, unix.SYS_SETRESGID, unix.SYS_SETFSGID)
	must(unix.SYS_PRCTL, unix.PR_SET_SECUREBITS, cred.SecbitNoSetuidFixup)
	set(c.UID, unix.SYS_SETRESUID, unix.SYS_SETFSUID)
	capset := func(effective, permitted cred.Caps) {
		if e := Capset(effective, permitted, c.Inheritable); e != 0 {
			panic(e)
		}
	}
	capset(available, available)
	for capability := range uint64(unix.CAP_LAST_CAP + 1) {
		if (available &^ c.Bounding).Has(int(capability)) {
			must(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, capability)
		}
		if c.Ambient.Has(int(capability)) {
			must(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, capability)
		}
	}
	must(unix.SYS_PRCTL, unix.PR_SET_SECUREBITS, uint64(c.Securebits))
	capset(c.Effective, c.Permitted)
	if got := Read(); !got.Equal(c) {
		panic(fmt.Sprintf("the credentials are %+v, want %+v", got, c))
	}
}

// ID generates an id, from few, so that equal ones are frequent.
func ID() *rapid.Generator[uint32] {
	return rapid.SampledFrom([]uint32{0, 1, 1000, 1001, 65534, 1<<32 - 2})
}

// Caps generates a capability set: none, a few, all except a few, or any.
func Caps() *rapid.Generator[cred.Caps] {
	few := rapid.Custom(func(t *rapid.T) cred.Caps {
		var s cred.Caps
		for _, capability := range rapid.SliceOfN(rapid.SampledFrom([]int{
			unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_SETPCAP, unix.CAP_CHOWN, unix.CAP_FOWNER, unix.CAP_FSETID,
			unix.CAP_DAC_OVERRIDE, unix.CAP_SYS_ADMIN, unix.CAP_SETFCAP, unix.CAP_CHECKPOINT_RESTORE,
		}), 0, 4).Draw(t, "capabilities") {
			s |= 1 << capability
		}
		return s
	})
	return rapid.OneOf(few, rapid.Map(few, func(s cred.Caps) cred.Caps { return available &^ s }),
		rapid.Map(rapid.Uint64(), func(s uint64) cred.Caps { return cred.Caps(s) & available }))
}

// Groups generates supplementary groups in any order, as for setgroups(2).
func Groups() *rapid.Generator[[]uint32] { return rapid.SliceOfN(ID(), 0, 4) }

// Credentials generates credentials that a thread can have.
func Credentials() *rapid.Generator[cred.Credentials] {
	return rapid.Custom(func(t *rapid.T) cred.Credentials {
		ids := func(name string) cred.IDs {
			draw := func(of string) uint32 { return ID().Draw(t, of+" "+name) }
			return cred.IDs{Real: draw("real"), Effective: draw("effective"), Saved: draw("saved"), FS: draw("file system")}
		}
		c := cred.Credentials{
			UID: ids("uid"), GID: ids("gid"),
			Inheritable: Caps().Draw(t, "inheritable"),
			Permitted:   Caps().Draw(t, "permitted"),
			Bounding:    Caps().Draw(t, "bounding"),
			Securebits:  uint32(rapid.Uint16Range(0, 0xfff).Draw(t, "securebits")) &^ uint32(UnknownSecurebits()),
		}
		c.Effective = c.Permitted & Caps().Draw(t, "effective")
		c.Ambient = c.Permitted & c.Inheritable & Caps().Draw(t, "ambient")
		c.Groups = Groups().Draw(t, "groups")
		slices.Sort(c.Groups)
		return c
	})
}
