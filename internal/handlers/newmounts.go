package handlers

import (
	"bytes"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/target"
)

// What the kernel makes when it mounts a file system belongs to the user that mounts it: the root
// directory of a tmpfs, and the directory "work" in the workdir of an overlay. The kernel knows
// the mapped id only. So if the caller has other ids, the owner is recorded with the next call of
// the same thread, or of another one of the process when the file system is there, before any other
// effect of that call.

// NewMounts are the directories whose owner is yet to be recorded.
type NewMounts struct {
	pending atomic.Int32 // len(list)
	mu      sync.Mutex
	list    []newMount
}

// newMount is a directory that the kernel makes while a thread mounts a file system.
type newMount struct {
	tid  uint32
	tgid uint32 // of its process
	path []byte // absolute
	work bool   // it is that of an overlay, which may not exist yet; otherwise the root of a tmpfs
	id   owner.ID
	// mount is the id of the mount that a tmpfs will cover; 0 if unknown (before Linux 5.8).
	mount uint64
	// tried is how many calls the thread has made since.
	tried int
}

// maxTried is how many calls a program makes at most between fsconfig(2) and the new file system.
const maxTried = 32

// maxNewMounts limits the memory for threads that never make another call.
const maxNewMounts = 64

func (m *NewMounts) add(n newMount) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.list) == maxNewMounts {
		m.list = m.list[1:]
	}
	m.list = append(m.list, n)
	m.pending.Store(int32(len(m.list)))
}

// take removes and returns the directories of the thread tid.
func (m *NewMounts) take(tid uint32) (taken []newMount) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rest := m.list[:0]
	for _, n := range m.list {
		if n.tid == tid {
			taken = append(taken, n)
		} else {
			rest = append(rest, n)
		}
	}
	m.list = rest
	m.pending.Store(int32(len(rest)))
	return taken
}

// others returns the directories of other threads than tid.
func (m *NewMounts) others(tid uint32) (others []newMount) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range m.list {
		if n.tid != tid {
			others = append(others, n)
		}
	}
	return others
}

// remove removes n, if no other receiver has done it meanwhile.
func (m *NewMounts) remove(n *newMount) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = slices.DeleteFunc(m.list, func(l newMount) bool { return l.tid == n.tid && bytes.Equal(l.path, n.path) })
	m.pending.Store(int32(len(m.list)))
}

// recordNewMounts records the owner of what the kernel has made for the caller's process.
func (c *Call) recordNewMounts() {
	for _, n := range c.Mounts.others(c.PID) {
		switch {
		case !hasThread(n.tgid, n.tgid):
			c.Mounts.remove(&n)
		// Without a new mount, the thread may still be in the call.
		case hasThread(n.tgid, c.PID) && !n.work && c.isCovered(&n):
			c.recordAt(n.path, n.id, c.recordMountRoot)
			c.Mounts.remove(&n)
		}
	}
	for _, n := range c.Mounts.take(c.PID) {
		switch {
		case !n.work:
			c.recordAt(n.path, n.id, c.recordMountRoot)
		case c.recordAt(n.path, n.id, c.recordUnrecorded) == 0:
			for _, below := range volatileMark {
				n.path = append(n.path, below...)
				c.recordAt(n.path, n.id, c.recordUnrecorded)
			}
		case n.tried < maxTried:
			n.tried++
			c.Mounts.add(n)
		}
	}
}

// hasThread reports whether the process tgid has a thread tid.
func hasThread(tgid, tid uint32) bool {
	var buf [64]byte
	path := append(strconv.AppendUint(buf[:0], uint64(tgid), 10), "/task/"...)
	path = append(strconv.AppendUint(path, uint64(tid), 10), 0)
	var st unix.Statx_t
	return sys.Statx(unix.AT_FDCWD, &path[0], 0, 0, &st) == 0
}

// isCovered reports whether something has been mounted on the directory since it was noted.
func (c *Call) isCovered(n *newMount) bool {
	p, e := c.Target.PathOf(n.path)
	if e != 0 {
		return false
	}
	i, e := c.openPath(p)
	if e != 0 {
		return false
	}
	defer c.close(i)
	return n.mount != 0 && mountOf(i.fd) != n.mount
}

// mountOf returns the id of the mount that the descriptor is on, or 0 if the kernel does not tell.
func mountOf(fd int) uint64 {
	var st unix.Statx_t
	if sys.Statx(fd, sys.Empty, unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st) != 0 || st.Mask&unix.STATX_MNT_ID == 0 {
		return 0
	}
	return st.Mnt_id
}

// volatileMark is what ovl_create_volatile_dirty of fs/overlayfs/super.c makes in the workdir of an
// overlay that is mounted with the option "volatile".
var volatileMark = [...]string{"/incompat", "/volatile", "/dirty"}

// recordAt calls record for the inode at the path. The error is that of opening it.
func (c *Call) recordAt(path []byte, id owner.ID, record func(i *inode, id owner.ID)) unix.Errno {
	p, e := c.Target.PathOf(path)
	if e != 0 {
		return e
	}
	i, e := c.openPath(p)
	if e == 0 {
		record(i, id)
		c.close(i)
	}
	return e
}

// recordMountRoot records the owner of the inode, if it is the root of a new tmpfs. A directory of
// an older one may be mounted alike, by open_tree(2), and belongs to somebody already.
func (c *Call) recordMountRoot(i *inode, id owner.ID) {
	if i.isMountOf(unix.TMPFS_MAGIC) && i.stat.Ino == tmpfsRoot && i.stat.Size == emptyTmpfs {
		c.recordUnrecorded(i, id)
	}
}

// In mm/shmem.c: each tmpfs numbers its inodes from 1, and each entry of a directory adds
// BOGO_DIRENT_SIZE to its size.
const (
	tmpfsRoot  = 1
	emptyTmpfs = 2 * 20
)

// recordUnrecorded records the owner of the inode if it has no record.
func (c *Call) recordUnrecorded(i *inode, id owner.ID) {
	c.Owners.Lock(i.lockKey())
	defer c.Owners.Unlock(i.lockKey())
	if !c.load(i) {
		_ = c.Owners.Set(i.fd, i.stat.Dev, i.stat.Mode, id) // it stays root's if there is no space
	}
}

// noteMount notes a mount(source, target, filesystemtype, mountflags, data) by a caller with other
// ids than the mapped ones.
func (c *Call) noteMount() {
	if c.createsAsRoot() || c.inRuntime() || c.mountFlags()&(optionlessFlags|unix.MS_REMOUNT) != 0 {
		return
	}
	var fstype [16]byte
	n, e := c.Target.ReadString(c.addr(2), fstype[:])
	if e != 0 {
		return
	}
	switch string(fstype[:n]) {
	case "tmpfs":
		p, e := c.Target.Path(unix.AT_FDCWD, c.addr(1), 0)
		if e == 0 {
			c.noteDirectory(p, "")
		}
	case "overlay":
		var options [maxOptions]byte
		n, e := c.Target.ReadString(c.addr(4), options[:])
		if e != 0 {
			return
		}
		for option := range bytes.SplitSeq(options[:n], []byte{','}) {
			if dir, ok := bytes.CutPrefix(option, []byte("workdir=")); ok {
				c.noteWorkdir(dir)
			}
		}
	}
}

// noteWorkdir notes the workdir of an overlay that the caller is about to mount.
//
// Documentation/filesystems/overlayfs.rst of Linux: "The workdir needs to be an empty directory";
// in it, ovl_workdir_create makes the directory "work" with the mode 0.
func (c *Call) noteWorkdir(dir []byte) {
	if c.createsAsRoot() || c.inRuntime() {
		return
	}
	if p, e := c.Target.PathOf(dir); e == 0 {
		c.noteDirectory(p, "/work")
	}
}

// noteDirectory notes the directory that p leads to, or its entry below.
func (c *Call) noteDirectory(p target.Path, below string) {
	i, e := c.openPath(p)
	if e != 0 {
		return
	}
	defer c.close(i)
	// A path through /proc/self/fd would lead to what the mount will cover.
	tgid, _, _, e := c.Target.ProcessID()
	if e != 0 {
		return // the caller is gone
	}
	if path, e := i.path(); e == 0 {
		c.Mounts.add(newMount{tid: c.PID, tgid: tgid, path: append(path, below...), work: below != "", id: c.fsIDs(), mount: mountOf(i.fd)})
	}
}
