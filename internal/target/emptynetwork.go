package target

import (
	"sync"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// EmptyNetwork is a network namespace whose only device is the loopback device. It is made when
// it is first entered, and ends with the worker.
type EmptyNetwork struct {
	mu   sync.Mutex
	made bool
	fd   int // of the namespace, if made is true
}

// threadNetNS is the calling thread's network namespace, in the supervisor's /proc.
var threadNetNS = &[]byte("thread-self/ns/net\x00")[0]

// Call calls f on a thread that is in the network namespace, and in the task's mount namespace.
// The error is that of f, why the mount namespace cannot be entered, or ENOSPC at the limit of
// network namespaces (user.max_net_namespaces).
func (n *EmptyNetwork) Call(t *Task, f func() unix.Errno) unix.Errno {
	mounts, e := openNamespace(t.TID, "mnt")
	if e != 0 {
		return e
	}
	defer unix.Close(mounts)
	return t.onNewThread(func() unix.Errno {
		if e := n.enter(t); e != 0 {
			return e
		}
		if e := sys.Unshare(unix.CLONE_FS); e != 0 { // setns(2) demands it
			return e
		}
		if e := sys.Setns(mounts, unix.CLONE_NEWNS); e != 0 {
			return e
		}
		return f()
	})
}

// enter moves the thread into the network namespace.
func (n *EmptyNetwork) enter(t *Task) (e unix.Errno) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.made {
		return sys.Setns(n.fd, unix.CLONE_NEWNET)
	}
	if e := sys.Unshare(unix.CLONE_NEWNET); e != 0 {
		return e
	}
	n.fd, e = sys.Openat(t.proc, threadNetNS, unix.O_RDONLY, 0)
	n.made = e == 0
	return e
}
