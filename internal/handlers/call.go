// Package handlers handles the emulated system calls. Each handler is a small
// function from a Call to a Result; one file holds one family of calls.
//
// Handlers run on the hot path: they allocate nothing and format nothing.
package handlers

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/identity"
	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/target"
	"github.com/rootless-containers/subuidless/internal/unotify"
)

// Call is one system call to be answered.
type Call struct {
	*unotify.Notif
	Target     *target.Task    // the task that makes the call
	Owners     *owner.Store    // where owners are recorded
	Identities *identity.Table // who the tasks are
	Roots      RootWatch       // told what matters of the tasks' root directories
	Devices    Devices         // what placeholders stand for
	Protected  perm.Protected  // what this kernel protects
	Listener   Listener        // what the call was notified by
	// NoPermissions lets every caller read, write and search every file.
	NoPermissions bool
	// Again tells that a worker died over this call, or that a signal interrupted it:
	// its effect may have happened, before the time Before, in nanoseconds.
	Again    bool
	Before   int64
	Intent   *Intent // what it makes; outlives the worker
	Previous *uint32 // the id that it returns, if it is the call of Intent; outlives the worker

	self  identity.State // who the caller is, if known
	known bool

	asAccess          bool // access(2) asks in the name of assumedAs
	accessCredentials cred.Credentials

	inodes  inodePool
	out     [statSize]byte // what writeStat writes
	scratch []byte         // room for one extended attribute or list: see buffer

	noACL noACLCache
}

// RootWatch watches root directories.
type RootWatch interface {
	// RootsDiffer tells that a task of the container may from now on see another
	// file tree than the container's init does.
	RootsDiffer(tid uint32)
	// MayDiffer reports whether RootsDiffer has been called.
	MayDiffer() bool
	// SearchDenied tells that a task may not search the directory with the status st.
	SearchDenied(st *unix.Stat_t)
}

// Listener is the seccomp listener that a call was notified by.
type Listener interface {
	// Index is its number in the container.
	Index() int
	// Waits reports whether the caller still waits for the answer. If another thread of
	// its process has killed it by execve(2), that one may have its thread id now.
	Waits() bool
	// AddFD gives the caller a duplicate of the descriptor fd, before the answer.
	// It returns the caller's number of it, or ENOENT or EMFILE.
	AddFD(fd int, closeOnExec bool) (int, unix.Errno)
}

// Begin prepares c for the notification that it holds now.
func (c *Call) Begin() {
	c.Target.Reset(c.PID)
	c.known, c.asAccess = false, false
}

// identity returns who the caller is.
func (c *Call) identity() *identity.State {
	if !c.known {
		s, e := c.Identities.Self(c.PID, c.Listener)
		if e != 0 {
			s = identity.Nobody() // the caller is gone: nobody reads the answer
		}
		if c.inRuntime() {
			// A runtime can do everything, whatever it leaves the program.
			s.Permitted, s.Effective = cred.AllCaps, cred.AllCaps
		}
		c.self, c.known = s, true
	}
	return &c.self
}

// become makes s who the caller is. The error is EAGAIN if there are too many
// different identities.
func (c *Call) become(s *identity.State) unix.Errno {
	if !c.Listener.Waits() {
		return unix.ESRCH // nobody reads it
	}
	e := c.Identities.Set(c.PID, s)
	if e == 0 {
		c.self, c.known = *s, true
	}
	return e
}

// inRuntime reports whether the call is that of a runtime, or of the stage, which is
// yet to execute the container's program.
func (c *Call) inRuntime() bool { return c.Identities.InRuntime(c.Listener.Index()) }

// Handler handles one system call.
type Handler func(*Call) Result

// Result is the answer to a Call. The zero Result means: return 0.
type Result struct {
	Val      int64
	Errno    unix.Errno
	Continue bool // let the kernel execute the call

	// File tells that the call returns a new descriptor of the file that our
	// descriptor Val refers to, which is closed then.
	File        bool
	CloseOnExec bool // of the new descriptor

	// Final tells that the call must not be made twice, although it notes no Intent: if
	// a signal interrupts the caller before the answer, this is it when the call comes
	// back. It is for calls that write nothing to the caller's memory.
	Final bool
}

// Continue lets the kernel execute the call.
var Continue = Result{Continue: true}

// Errno makes the call fail with e, or return 0 if e is 0.
func Errno(e unix.Errno) Result { return Result{Errno: e} }

// File makes the call return a new descriptor of the file that our descriptor fd
// refers to, and closes fd.
func File(fd int, closeOnExec bool) Result {
	return Result{Val: int64(fd), File: true, CloseOnExec: closeOnExec}
}

// Return makes the call return v.
func Return(v int) Result { return Result{Val: int64(v)} }

// write copies b to the caller's memory at addr, unless the caller has been interrupted
// by a signal. Then it may be at something else, and use the memory for that.
//
// seccomp_unotify(2), of a supervisor that does not check that: "this could lead to
// memory corruption" of the caller. What is left is the moment until the copy.
func (c *Call) write(addr uintptr, b []byte) unix.Errno {
	if !c.Listener.Waits() {
		return unix.ESRCH // nobody reads it
	}
	return c.Target.Write(addr, b)
}

func (c *Call) int32(i int) int32   { return int32(c.Data.Args[i]) }
func (c *Call) uint32(i int) uint32 { return uint32(c.Data.Args[i]) }
func (c *Call) addr(i int) uintptr  { return uintptr(c.Data.Args[i]) }

// bytesOf returns the memory of a list.
func bytesOf[T uint16 | uint32 | uint64](list []T) []byte {
	if len(list) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&list[0])), len(list)*int(unsafe.Sizeof(list[0])))
}

// badPointer reports whether argument i is not the address of a string.
func (c *Call) badPointer(i int) bool {
	var b [1]byte
	n, e := c.Target.Read(c.addr(i), b[:])
	return c.addr(i) != 0 && (e != 0 || n == 0)
}

// emptyString reports whether argument i is no readable string, or an empty one.
func (c *Call) emptyString(i int) bool {
	var b [1]byte
	n, e := c.Target.Read(c.addr(i), b[:])
	return e != 0 || n == 0 || b[0] == 0
}
