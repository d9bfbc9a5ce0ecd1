package target

import (
	"bytes"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// namespacePath is room for the path of a namespace in /proc, "TID/ns/KIND".
type namespacePath [32]byte

// of writes the path of the namespace of the thread tid and returns it NUL-terminated. The
// kind is a name in /proc/TID/ns, such as "pid". If tid is 0, it is the supervisor's.
func (n *namespacePath) of(tid uint32, kind string) *byte {
	b := append(n[:0], "self"...)
	if tid != 0 {
		b = strconv.AppendUint(n[:0], uint64(tid), 10)
	}
	_ = append(append(append(b, "/ns/"...), kind...), 0)
	return &n[0]
}

// namespaceID returns the inode number of a namespace, which identifies it.
func namespaceID(tid uint32, kind string) (uint64, unix.Errno) {
	var name namespacePath
	return inodeNumber(unix.AT_FDCWD, name.of(tid, kind))
}

// openNamespace opens a namespace, for setns(2) and ioctl_nsfs(2).
func openNamespace(tid uint32, kind string) (int, unix.Errno) {
	var name namespacePath
	return sys.Openat(unix.AT_FDCWD, name.of(tid, kind), unix.O_RDONLY, 0)
}

// inodeNumber returns st_ino of the object at path, or of dirfd if path is empty.
func inodeNumber(dirfd int, path *byte) (uint64, unix.Errno) {
	var st unix.Statx_t
	e := sys.Statx(dirfd, path, unix.AT_EMPTY_PATH, unix.STATX_INO, &st)
	return st.Ino, e
}

// pidNamespaces returns the inode numbers of the PID namespaces of the supervisor and of
// the task. The error is ENOENT if the task is gone.
func (t *Task) pidNamespaces() (own, theirs uint64, e unix.Errno) {
	if t.pidNS == 0 {
		if t.pidNS, e = namespaceID(0, "pid"); e != 0 {
			return 0, 0, e
		}
	}
	theirs, e = t.PIDNamespace()
	return t.pidNS, theirs, e
}

// PIDNamespace returns the inode number of the task's PID namespace. The error is ENOENT if the
// task is gone.
func (t *Task) PIDNamespace() (uint64, unix.Errno) { return namespaceID(t.TID, "pid") }

// sharesNamespace reports whether the task and the thread tid are in the same namespace of
// that kind.
func (t *Task) sharesNamespace(tid uint32, kind string) bool {
	own, e := namespaceID(t.TID, kind)
	theirs, e2 := namespaceID(tid, kind)
	return e == 0 && e2 == 0 && own == theirs
}

// InContainer reports whether the thread tid, an id in the supervisor's PID namespace, is in the
// worker's user namespace, that of the container.
func (t *Task) InContainer(tid uint32) bool {
	own, e := namespaceID(0, "user")
	theirs, e2 := namespaceID(tid, "user")
	return e == 0 && e2 == 0 && own == theirs
}

// NamespaceOwner returns a descriptor of the user namespace that owns the task's namespace of that
// kind, a name in /proc/TID/ns: see NS_GET_USERNS(2const). The error is EPERM if that is not the
// worker's, or one below it, and ENOENT if the task is gone.
func (t *Task) NamespaceOwner(kind string) (int, unix.Errno) {
	ns, e := openNamespace(t.TID, kind)
	if e != 0 {
		return -1, e
	}
	defer unix.Close(ns)
	return sys.IoctlInt(ns, unix.NS_GET_USERNS, 0)
}

// SocketNamespaceOwner returns a descriptor of the user namespace that owns the network namespace of
// the socket that fd of the supervisor refers to: see SIOCGSKNS in <linux/sockios.h> and
// NS_GET_USERNS(2const). The error is EPERM for a socket of the host's network namespace.
func SocketNamespaceOwner(fd int) (int, unix.Errno) {
	ns, e := sys.IoctlInt(fd, unix.SIOCGSKNS, 0)
	if e != 0 {
		return -1, e
	}
	defer unix.Close(ns)
	return sys.IoctlInt(ns, unix.NS_GET_USERNS, 0)
}

// EnterNetwork moves the receiver into the task's network namespace: see setns(2). The
// error is EPERM for the host's network namespace, over which the container's user
// namespace has no capabilities, and ENOENT if the task is gone.
func (t *Task) EnterNetwork() unix.Errno {
	ns, e := openNamespace(t.TID, "net")
	if e != 0 {
		return e
	}
	e = sys.Setns(ns, unix.CLONE_NEWNET)
	unix.Close(ns)
	return e
}

// EnterOrShareNetwork is EnterNetwork, and reports whether the receiver is in the task's
// network namespace: the supervisor may have started there.
func (t *Task) EnterOrShareNetwork() bool {
	return t.EnterNetwork() == 0 || t.sharesNamespace(uint32(unix.Gettid()), "net")
}

// PingGroups returns the range of group ids, both ends included, whose members may create
// ICMP Echo sockets in the receiver's network namespace: see ping_group_range in icmp(7).
// The ids are those of the receiver's user namespace.
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
