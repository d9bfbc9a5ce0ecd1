package target

import (
	"bytes"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// IPCNamespace identifies an IPC namespace.
type IPCNamespace struct {
	// ID is a number of the kernel.
	ID uint64
	// Reusable means that the ID may belong to another namespace once this one is gone:
	// before Linux 6.18 it is an inode number.
	Reusable bool
}

// ipcNamespaceOf returns the namespace that fd refers to.
func (t *Task) ipcNamespaceOf(fd int) (IPCNamespace, unix.Errno) {
	if !t.NoNamespaceIDs {
		if id, e := sys.NamespaceID(fd); e == 0 {
			return IPCNamespace{ID: id}, 0
		}
	}
	id, e := inodeNumber(fd, sys.Empty)
	return IPCNamespace{ID: id, Reusable: true}, e
}

// threadIPCNS is the calling thread's IPC namespace, in the supervisor's /proc.
var threadIPCNS = &[]byte("thread-self/ns/ipc\x00")[0]

// threadIPC returns the IPC namespace of the calling thread.
func (t *Task) threadIPC() (IPCNamespace, unix.Errno) {
	fd, e := sys.Openat(t.proc, threadIPCNS, unix.O_RDONLY, 0)
	if e != 0 {
		return IPCNamespace{}, e
	}
	defer unix.Close(fd)
	return t.ipcNamespaceOf(fd)
}

// EnterIPC makes IPCGet and IPCControl work in the task's IPC namespace, and returns that
// namespace. It moves the receiver there, except into the host's namespace, which the
// receiver cannot enter again once it has left it. The error is ENOENT if the task is gone,
// and EPERM if the namespace is of no concern to the container.
func (t *Task) EnterIPC() (IPCNamespace, unix.Errno) {
	inode, e := namespaceID(t.TID, "ipc")
	if e != 0 {
		return IPCNamespace{}, e
	}
	t.ipcElsewhere = false
	if inode == t.ipcInode {
		return t.ipcNS, 0
	}
	fd, e := openNamespace(t.TID, "ipc")
	if e != 0 {
		return IPCNamespace{}, e
	}
	defer unix.Close(fd)
	theirs, e := t.ipcNamespaceOf(fd)
	if e != 0 {
		return IPCNamespace{}, e
	}
	if t.ipcNS == (IPCNamespace{}) {
		if t.ipcHome, e = t.threadIPC(); e != 0 {
			return IPCNamespace{}, e
		}
		t.ipcNS = t.ipcHome
	}
	if theirs != t.ipcNS {
		e = sys.Setns(fd, unix.CLONE_NEWIPC)
	}
	switch {
	case e == 0:
		t.ipcNS = theirs
		t.ipcInode, e = inodeNumber(fd, sys.Empty)
		return theirs, e
	case theirs == t.ipcHome:
		t.ipcElsewhere = true
	default:
		return IPCNamespace{}, e
	}
	return theirs, 0
}

// IPCGet is sys.IPCGet in the namespace of the last EnterIPC.
func (t *Task) IPCGet(kind sys.IPCKind, key int32, size uintptr, flags uint32) (int, unix.Errno) {
	if !t.ipcElsewhere {
		return sys.IPCGet(kind, key, size, flags)
	}
	var id int
	e := t.onNewThread(func() (e unix.Errno) {
		id, e = sys.IPCGet(kind, key, size, flags)
		return e
	})
	return id, e
}

// IPCControl is sys.IPCControl in the namespace of the last EnterIPC.
func (t *Task) IPCControl(kind sys.IPCKind, id int32, cmd int, status *sys.IPCStatus) (int, unix.Errno) {
	if !t.ipcElsewhere {
		return sys.IPCControl(kind, id, cmd, status)
	}
	return t.ipcControlElsewhere(kind, id, cmd, status)
}

func (t *Task) ipcControlElsewhere(kind sys.IPCKind, id int32, cmd int, status *sys.IPCStatus) (int, unix.Errno) {
	var r int
	var copied sys.IPCStatus // so that the caller's need not be on the heap
	if status != nil {
		copied = *status
	}
	e := t.onNewThread(func() (e unix.Errno) {
		r, e = sys.IPCControl(kind, id, cmd, &copied)
		return e
	})
	if status != nil {
		*status = copied
	}
	return r, e
}

// OpenIPC opens the namespace of the last EnterIPC.
func (t *Task) OpenIPC() (int, unix.Errno) { return t.OpenSysvipc(threadIPCNS) }

// OpenSysvipc opens a file of /proc/sysvipc, which shows the objects of the namespace of the
// last EnterIPC, for reading. Path is relative to /proc.
func (t *Task) OpenSysvipc(path *byte) (int, unix.Errno) {
	if !t.ipcElsewhere {
		return sys.Openat(t.proc, path, unix.O_RDONLY, 0)
	}
	var fd int
	e := t.onNewThread(func() (e unix.Errno) {
		fd, e = sys.Openat(t.proc, path, unix.O_RDONLY, 0)
		return e
	})
	return fd, e
}

// onNewThread calls f on a new thread, which is in the namespaces that the worker was started
// in. Its IPC namespace is that of the host.
func (t *Task) onNewThread(f func() unix.Errno) unix.Errno {
	done := make(chan unix.Errno)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with f
		done <- f()
	}()
	return <-done
}

// scans is how often IPCNamespaces looks at all threads before it gives up.
const scans = 10

// IPCNamespaces calls f with each IPC namespace that threads in the supervisor's /proc are in, as
// far as the supervisor may inspect them, and a descriptor of it, which ends with the call. All
// reports whether none is missing: a thread that ends during the scan may leave behind another
// one, which the scan has missed, so IPCNamespaces starts again.
func (t *Task) IPCNamespaces(f func(ns IPCNamespace, fd int)) (all bool) {
	ended := map[uint32]bool{}
	for range scans {
		before := len(ended)
		if !t.scanIPCNamespaces(f, ended) {
			return false
		}
		if len(ended) == before {
			return true
		}
	}
	return false
}

// scanIPCNamespaces is IPCNamespaces without starting again. It adds the ids of threads that have
// ended, which zombies are, too, to ended. It reports whether /proc can be read.
func (t *Task) scanIPCNamespaces(f func(IPCNamespace, int), ended map[uint32]bool) bool {
	processes, e := t.Processes()
	if e != 0 {
		return false
	}
	for _, process := range processes {
		threads, e := t.Threads(process)
		if e != 0 {
			ended[process] = true
		}
		for _, thread := range threads {
			fd, e := openNamespace(thread, "ipc")
			switch e {
			case 0:
				if ns, e := t.ipcNamespaceOf(fd); e == 0 {
					f(ns, fd)
				}
				unix.Close(fd)
			case unix.ENOENT, unix.ESRCH:
				ended[thread] = true
			}
		}
	}
	return true
}

// ProcessID returns the id of the task's process in the supervisor's PID namespace, its id in
// its own PID namespace, and the inode number of that namespace.
func (t *Task) ProcessID() (host, inside uint32, ns uint64, e unix.Errno) {
	var b [maxStatus]byte
	status, e := t.status(&b)
	if e != 0 {
		return 0, 0, 0, e
	}
	number := func(name string) uint32 {
		value, _ := valueOf(status, name)
		last := value[bytes.LastIndexByte(value, '\t')+1:]
		n, _ := strconv.ParseUint(string(last), 10, 32)
		return uint32(n)
	}
	// proc_pid_status(5): "NStgid: Thread group ID (i.e., PID) in each of the PID namespaces of
	// which pid is a member. The leftmost entry shows the value with respect to the PID
	// namespace of the process that mounted this procfs [...], followed by the value in
	// successively nested inner namespaces."
	ns, e = t.PIDNamespace()
	return number("Tgid"), number("NStgid"), ns, e
}
