package target

import (
	"bytes"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// namespaceName is room for the name of a namespace in /proc, "TID/ns/KIND".
type namespaceName [32]byte

// of writes the name of a thread's namespace of a kind, such as "pid".
// The thread 0 is the supervisor.
func (n *namespaceName) of(tid uint32, kind string) *byte {
	b := append(n[:0], "self"...)
	if tid != 0 {
		b = strconv.AppendUint(n[:0], uint64(tid), 10)
	}
	_ = append(append(append(b, "/ns/"...), kind...), 0)
	return &n[0]
}

// namespace returns the inode number of a namespace, by which it is known.
func namespace(tid uint32, kind string) (uint64, unix.Errno) {
	var name namespaceName
	return inode(unix.AT_FDCWD, name.of(tid, kind))
}

func openNamespace(tid uint32, kind string) (int, unix.Errno) {
	var name namespaceName
	return sys.Openat(unix.AT_FDCWD, name.of(tid, kind), unix.O_RDONLY, 0)
}

func inode(dirfd int, path *byte) (uint64, unix.Errno) {
	var st unix.Statx_t
	e := sys.Statx(dirfd, path, unix.AT_EMPTY_PATH, unix.STATX_INO, &st)
	return st.Ino, e
}

// pidNamespaces returns the PID namespaces of the supervisor and of the task.
func (t *Task) pidNamespaces() (own, theirs uint64, e unix.Errno) {
	if t.pidNS == 0 {
		if t.pidNS, e = namespace(0, "pid"); e != 0 {
			return 0, 0, e
		}
	}
	theirs, e = namespace(t.TID, "pid")
	return t.pidNS, theirs, e
}

// sharesNamespace tells whether the task has a namespace in common with the thread tid.
func (t *Task) sharesNamespace(tid uint32, kind string) bool {
	own, e := namespace(t.TID, kind)
	theirs, e2 := namespace(tid, kind)
	return e == 0 && e2 == 0 && own == theirs
}

// SameUserNamespace tells whether another thread is in the task's user namespace.
func (t *Task) SameUserNamespace(tid uint32) bool { return t.sharesNamespace(tid, "user") }

// InOwnUserNamespace tells whether the task is in the supervisor's own user
// namespace, the container's, and not in one that it has made.
func (t *Task) InOwnUserNamespace() bool { return t.sharesNamespace(0, "user") }

// EnterNetwork makes the task's network namespace that of the calling thread. The error
// is EPERM if it is not the container's, but the host's: then nobody in the container has
// any capability over it.
func (t *Task) EnterNetwork() unix.Errno {
	ns, e := openNamespace(t.TID, "net")
	if e != 0 {
		return e
	}
	e = sys.Setns(ns, unix.CLONE_NEWNET)
	unix.Close(ns)
	return e
}

// PingGroups returns the range of the groups whose members may make ICMP Echo sockets in
// the calling thread's network namespace: see ping_group_range in icmp(7).
func (t *Task) PingGroups() (low, high uint32, e unix.Errno) {
	var b [maxStatus]byte
	text, e := readProc(&pingGroups[0], &b)
	if e != 0 {
		return 0, 0, e
	}
	first, last, _ := bytes.Cut(bytes.TrimSpace(text), []byte{'\t'})
	l, err := strconv.ParseUint(string(first), 10, 32)
	h, err2 := strconv.ParseUint(string(last), 10, 32)
	if err != nil || err2 != nil {
		return 0, 0, unix.EINVAL
	}
	return uint32(l), uint32(h), 0
}

var pingGroups = []byte("sys/net/ipv4/ping_group_range\x00")
