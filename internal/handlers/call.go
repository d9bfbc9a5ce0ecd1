package handlers

import (
	"encoding/binary"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/identity"
	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/svipc"
	"github.com/rootless-containers/subuidless/internal/target"
	"github.com/rootless-containers/subuidless/internal/unotify"
)

// Call is one system call that waits for an answer. A receiver uses one Call for all of its
// notifications; Begin prepares it for the next.
type Call struct {
	*unotify.Notif
	Target     *target.Task    // the task whose call it is
	Owners     *owner.Store    // stores the records of inodes
	Identities *identity.Table // maps tasks to emulated credentials
	IPC        *svipc.Table    // stores the owners of System V IPC objects
	Sockets    *Sockets        // what concerns the credentials of messages
	Roots      RootWatch       // is notified of changes of root directories
	Devices    Devices         // the host's devices that placeholders stand for
	Protected  perm.Protected  // the fs.protected_* settings of this kernel
	Listener   Listener        // the seccomp listener that the notification came from
	// NoPermissions turns permission checks off: every caller may read, write and search
	// every file.
	NoPermissions bool
	// ShowMaps makes uid_map, gid_map and setgroups show the emulated maps even while every
	// task is root. Each open for reading then costs a look at its path.
	ShowMaps bool
	// Maps are the uid_map and gid_map files that programs are writing.
	Maps *MapWrites
	// Mounts are the directories of new file systems whose owner is yet to be recorded.
	Mounts *NewMounts
	// Network is the network namespace whose sysfs replaces that of the host's.
	Network *target.EmptyNetwork
	// Again reports whether the handler may have run for this call before, in a worker that
	// has died, or before a signal interrupted the call. If so, its effect may have
	// happened, at Before (nanoseconds since the epoch) at the latest.
	Again    bool
	Before   int64
	Intent   *Intent // what the call makes; in the journal
	Previous *uint32 // the id that the call of Intent returns; in the journal

	self  identity.State // the caller's identity, if known
	known bool

	asAccess          bool // access(2): check permissions with accessCredentials
	accessCredentials cred.Credentials

	inodes  inodePool
	out     [statSize]byte // scratch space of writeStat
	scratch []byte         // scratch space for one extended attribute or list: see buffer

	noACL noACLCache
	ipc   ipcObject // see openIPC
}

// RootWatch is notified of events that concern the root directories of tasks.
type RootWatch interface {
	// RootsDiffer reports that the task tid may see another file tree than the container's
	// init from now on.
	RootsDiffer(tid uint32)
	// MayDiffer reports whether RootsDiffer has been called.
	MayDiffer() bool
	// SearchDenied reports that a task may not search the directory with the status st.
	SearchDenied(st *unix.Stat_t)
}

// Listener is the seccomp listener that a notification came from.
type Listener interface {
	// Index returns the index of the listener in the container.
	Index() int
	// Waits reports whether the caller still waits for the answer. It does not if a signal
	// has interrupted the call, or if the caller is gone. The thread id may then belong to
	// another task: execve(2) by one thread kills the others of its process and takes over
	// the thread id of the leader.
	Waits() bool
	// AddFD duplicates the supervisor's descriptor fd into the caller, before the answer is
	// sent. It returns the caller's descriptor, or ENOENT if the caller no longer waits, or
	// EMFILE.
	AddFD(fd int, closeOnExec bool) (int, unix.Errno)
}

// Begin prepares c for the notification that has just been received.
func (c *Call) Begin() {
	c.Target.Reset(c.PID)
	c.known, c.asAccess = false, false
}

// Settle lets earlier calls take effect that the kernel has executed, and which it does not
// report. The thread must have the root directory of the caller.
func (c *Call) Settle() {
	if c.Identities.NamespacesInUse() {
		c.Maps.settle(c.Identities)
		c.identity() // the caller may have entered a namespace, in which the kernel must map an id
	}
	if c.Mounts.pending.Load() != 0 {
		c.recordNewMounts()
	}
}

// identity returns the caller's emulated credentials. They are read once per call.
func (c *Call) identity() *identity.State {
	if !c.known {
		s, e := c.Identities.Self(c.PID, c.Listener)
		if e != 0 {
			s = identity.Nobody() // the caller is gone, the answer is discarded
		}
		if c.inRuntime() {
			// A runtime has every capability, whatever it grants the program.
			s.Permitted, s.Effective = cred.AllCaps, cred.AllCaps
		}
		c.self, c.known = s, true
		c.noteSender()
	}
	return &c.self
}

// become makes s the caller's identity. The error is EAGAIN if the container has too many
// distinct identities, and ESRCH if the caller no longer waits.
func (c *Call) become(s *identity.State) unix.Errno {
	if !c.Listener.Waits() {
		return unix.ESRCH
	}
	e := c.Identities.Set(c.PID, s)
	if e == 0 {
		c.self, c.known = *s, true
		c.noteSender()
	}
	return e
}

// inRuntime reports whether the caller is the OCI runtime or the stage, which has yet to
// execute the container's program.
func (c *Call) inRuntime() bool { return c.Identities.InRuntime(c.Listener.Index()) }

// Handler handles one system call, and returns the answer.
type Handler func(*Call) Result

// Result is the answer to a Call. The zero Result means: return 0.
type Result struct {
	Val      int64
	Errno    unix.Errno
	Continue bool // let the kernel execute the call

	// File means that the supervisor's descriptor Val is duplicated into the caller and
	// closed here. The call returns the caller's descriptor.
	File        bool
	CloseOnExec bool // of the new descriptor

	// Wait means that the call has to wait until the supervisor's descriptor Val is ready:
	// events of poll(2), such as POLLIN. The handler runs again then, or the call fails with
	// EAGAIN after Timeout, if that is not 0. A signal interrupts the wait. The descriptor is
	// closed.
	Wait    int16
	Timeout time.Duration

	// Final means that the handler must not run twice for the call, although it notes no
	// Intent. If a signal interrupts the caller before the answer, the call gets the same
	// answer when the kernel restarts it. What the handler has written to the caller's
	// memory is still there.
	Final bool
}

// Continue is the answer that lets the kernel execute the call.
var Continue = Result{Continue: true}

// Errno returns the answer that makes the call fail with e, or return 0 if e is 0.
func Errno(e unix.Errno) Result { return Result{Errno: e} }

// File returns the answer that gives the caller a duplicate of the supervisor's descriptor
// fd. The receiver closes fd.
func File(fd int, closeOnExec bool) Result {
	return Result{Val: int64(fd), File: true, CloseOnExec: closeOnExec}
}

// Return returns the answer that makes the call return v.
func Return(v int) Result { return Result{Val: int64(v)} }

// write copies b to the caller's memory at addr. The error is ESRCH if the caller no longer
// waits: it may be executing a signal handler, and use that memory for something else.
//
// seccomp_unotify(2), of a supervisor that does not check: "this could lead to memory
// corruption" of the caller. The race between the check and the copy remains.
func (c *Call) write(addr uintptr, b []byte) unix.Errno {
	if !c.Listener.Waits() {
		return unix.ESRCH
	}
	return c.Target.Write(addr, b)
}

func (c *Call) int32(i int) int32   { return int32(c.Data.Args[i]) }
func (c *Call) uint32(i int) uint32 { return uint32(c.Data.Args[i]) }
func (c *Call) addr(i int) uintptr  { return uintptr(c.Data.Args[i]) }

// bytesOf returns the memory of list, without a copy.
func bytesOf[T uint16 | uint32 | uint64](list []T) []byte {
	if len(list) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&list[0])), len(list)*int(unsafe.Sizeof(list[0])))
}

// badPointer reports whether argument i is neither NULL nor the address of readable memory.
func (c *Call) badPointer(i int) bool {
	var b [1]byte
	n, e := c.Target.Read(c.addr(i), b[:])
	return c.addr(i) != 0 && (e != 0 || n == 0)
}

// readLong returns the number of the C type long at the start of b, of a program whose type
// long has size bytes, 4 or 8.
func readLong(b []byte, size int) int64 {
	if size == 4 {
		return int64(int32(binary.NativeEndian.Uint32(b)))
	}
	return int64(binary.NativeEndian.Uint64(b))
}

// emptyString reports whether argument i is an empty string, or cannot be read.
func (c *Call) emptyString(i int) bool {
	var b [1]byte
	n, e := c.Target.Read(c.addr(i), b[:])
	return e != 0 || n == 0 || b[0] == 0
}
