// Package kernel answers the emulated system calls. Each handler is a small
// function from a Call to a Result; one file holds one family of calls.
//
// Handlers run on the hot path: they allocate nothing and format nothing.
package kernel

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/tracee"
	"github.com/rootless-containers/subuidless/internal/unotify"
)

// Call is one system call to be answered.
type Call struct {
	*unotify.Notif
	Tracee *tracee.Tracee // the task that makes the call
	Owners *owner.Store   // where owners are recorded
	Roots  RootWatch      // told of calls that change a task's view of the file tree

	stat unix.Stat_t    // scratch space of the handlers
	out  [statSize]byte // scratch space of writeStat
	xbuf []byte         // scratch space for lists of extended attributes
}

// RootWatch is told when a task of the container may from now on see another
// file tree than the container's init does.
type RootWatch interface{ RootsDiffer() }

// Handler answers one system call.
type Handler func(*Call) Result

// Result is the answer to a Call. The zero Result means: return 0.
type Result struct {
	Val      int64
	Errno    unix.Errno
	Continue bool // let the kernel execute the call
}

// Continue lets the kernel execute the call.
var Continue = Result{Continue: true}

// Errno makes the call fail with e, or return 0 if e is 0.
func Errno(e unix.Errno) Result { return Result{Errno: e} }

// Return makes the call return v.
func Return(v int) Result { return Result{Val: int64(v)} }

func (c *Call) int32(i int) int32   { return int32(c.Data.Args[i]) }
func (c *Call) uint32(i int) uint32 { return uint32(c.Data.Args[i]) }
func (c *Call) addr(i int) uintptr  { return uintptr(c.Data.Args[i]) }
