// Package credtest lets tests ask the kernel what the models of credentials and
// permissions claim: a thread of any credentials, and random ones.
package credtest

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/rootless-containers/subuidless/internal/cred"
)

// allMapped is the uid_map of a namespace where every id can be had.
var allMapped = regexp.MustCompile(`^\s*0\s+0\s+4294967295\s*$`)

// available are the capabilities that the tests can have: on some machines, even
// root has not all.
var available = Read().Bounding

// needed are those without which there is not much to test.
const needed cred.Caps = 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID | 1<<unix.CAP_SETPCAP | 1<<unix.CAP_SETFCAP |
	1<<unix.CAP_CHOWN | 1<<unix.CAP_FOWNER | 1<<unix.CAP_FSETID | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_KILL

// NeedRoot skips a test that needs every id, and the capabilities of root.
func NeedRoot(t testing.TB) {
	t.Helper()
	uidMap, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	if c := Read(); c.UID != (cred.IDs{}) || !allMapped.Match(uidMap) || needed&^c.Effective != 0 || c.Effective != available {
		t.Skip("asks the kernel, as real root")
	}
}

// Root is cred.Root with the capabilities that the tests have.
func Root() cred.Credentials {
	return cred.Credentials{Permitted: available, Effective: available, Bounding: available}
}

// Thread is a thread whose credentials are its own.
type Thread struct{ calls, done chan func() }

// NewThread starts one with the credentials of the caller.
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

// Do runs f in the thread.
func (th *Thread) Do(f func()) {
	th.calls <- f
	<-th.done
}

// Close ends the thread.
func (th *Thread) Close() { close(th.calls) }

// Call makes one system call, of this thread only.
func Call(nr uintptr, args ...uint64) (uint64, unix.Errno) {
	var a [6]uintptr
	for n, arg := range args {
		a[n] = uintptr(arg)
	}
	r, _, e := syscall.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	return uint64(r), e
}

// must makes a call that cannot fail.
func must(nr uintptr, args ...uint64) uint64 {
	r, e := Call(nr, args...)
	if e != 0 {
		panic(fmt.Sprintf("system call %d %#x: %v", nr, args, e))
	}
	return r
}

// Capget returns the sets of the calling thread.
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

// Capset sets them.
func Capset(effective, permitted, inheritable cred.Caps) unix.Errno {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{
		{Effective: uint32(effective), Permitted: uint32(permitted), Inheritable: uint32(inheritable)},
		{Effective: uint32(effective >> 32), Permitted: uint32(permitted >> 32), Inheritable: uint32(inheritable >> 32)},
	}
	_, _, e := syscall.RawSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data)), 0)
	return e
}

// Setgroups sets the supplementary groups of the calling thread.
func Setgroups(groups []uint32) unix.Errno {
	_, _, e := syscall.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(unsafe.SliceData(groups))), 0)
	return e
}

// Read returns the credentials of the calling thread.
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

// Become gives the calling thread, which is root, credentials that a
// thread can have.
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
		panic(fmt.Sprintf("became %+v, not %+v", got, c))
	}
}

// ID draws an id, often one that was drawn before.
func ID() *rapid.Generator[uint32] {
	return rapid.SampledFrom([]uint32{0, 1, 1000, 1001, 65534, 1<<32 - 2})
}

// Caps draws a set: none, few, all but few, or all.
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

// Groups draws supplementary groups as they were given to setgroups(2).
func Groups() *rapid.Generator[[]uint32] { return rapid.SliceOfN(ID(), 0, 4) }

// Credentials draws what a thread can have.
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
			Securebits:  uint32(rapid.Uint16Range(0, 0xfff).Draw(t, "securebits")),
		}
		c.Effective = c.Permitted & Caps().Draw(t, "effective")
		c.Ambient = c.Permitted & c.Inheritable & Caps().Draw(t, "ambient")
		c.Groups = Groups().Draw(t, "groups")
		slices.Sort(c.Groups)
		return c
	})
}
