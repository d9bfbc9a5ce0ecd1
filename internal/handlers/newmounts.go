package handlers

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// The root directory of a new tmpfs belongs to the user that mounts it. The kernel, which knows
// the mapped id only, mounts it for a caller with other ids; the owner is recorded with the next
// call of the same thread, before any other effect of that call.

// NewMounts are the mounts whose owner is yet to be recorded.
type NewMounts struct {
	pending atomic.Int32 // len(list)
	mu      sync.Mutex
	list    []newMount
}

// newMount is a mount(2) that a thread waits for.
type newMount struct {
	tid  uint32
	path []byte // of the mount point, absolute
	id   owner.ID
}

// maxNewMounts limits the memory for threads that never make another call.
const maxNewMounts = 64

// expect notes that the thread tid is about to mount a tmpfs at path, which it keeps.
func (m *NewMounts) expect(tid uint32, path []byte, id owner.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.list) == maxNewMounts {
		m.list = m.list[1:]
	}
	m.list = append(m.list, newMount{tid, path, id})
	m.pending.Store(int32(len(m.list)))
}

// take returns what expect has noted for the thread tid.
func (m *NewMounts) take(tid uint32) (taken newMount, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.list {
		if m.list[i].tid == tid {
			taken = m.list[i]
			m.list = append(m.list[:i], m.list[i+1:]...)
			m.pending.Store(int32(len(m.list)))
			return taken, true
		}
	}
	return newMount{}, false
}

// recordNewMount records the owner of the file system that the caller has just mounted.
func (c *Call) recordNewMount() {
	m, ok := c.Mounts.take(c.PID)
	if !ok {
		return
	}
	p, e := c.Target.PathOf(m.path)
	if e != 0 {
		return
	}
	if i, e := c.openPath(p); e == 0 {
		c.recordMountRoot(i, m.id)
		c.close(i)
	}
}

// recordMountRoot records the owner of the inode, if it is the root of a tmpfs without a record.
func (c *Call) recordMountRoot(i *inode, id owner.ID) {
	var st unix.Statx_t
	if sys.FileSystem(i.fd) != unix.TMPFS_MAGIC || sys.Statx(i.fd, sys.Empty, unix.AT_EMPTY_PATH, 0, &st) != 0 ||
		st.Attributes&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		return
	}
	c.Owners.Lock(i.lockKey())
	defer c.Owners.Unlock(i.lockKey())
	if !c.load(i) {
		_ = c.Owners.Set(i.fd, i.stat.Mode, id) // it stays root's if there is no space
	}
}

// noteMount notes a mount(2) of a tmpfs by a caller with other ids than the mapped ones.
func (c *Call) noteMount() {
	if c.createsAsRoot() || c.inRuntime() || !c.mountsTmpfs() {
		return
	}
	p, e := c.Target.Path(unix.AT_FDCWD, c.addr(1), 0)
	if e != 0 {
		return
	}
	i, e := c.openPath(p)
	if e != 0 {
		return
	}
	defer c.close(i)
	// A path through /proc/self/fd would lead to what the mount will cover.
	if path, e := i.path(); e == 0 {
		c.Mounts.expect(c.PID, path, c.fsIDs())
	}
}

// mountsTmpfs reports whether the call mount(source, target, filesystemtype, mountflags, data)
// creates a tmpfs.
func (c *Call) mountsTmpfs() bool {
	if c.mountFlags()&(optionlessFlags|unix.MS_REMOUNT) != 0 {
		return false
	}
	var fstype [16]byte
	n, e := c.Target.ReadString(c.addr(2), fstype[:])
	return e == 0 && string(fstype[:n]) == "tmpfs"
}
