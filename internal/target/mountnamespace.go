package target

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// threadMountNS is the calling thread's mount namespace, in the supervisor's /proc.
var threadMountNS = &[]byte("thread-self/ns/mnt\x00")[0]

// InMountNamespace calls f while the task's mount namespace and root directory are those of
// the calling thread. The error is that of f, or why the namespace cannot be entered.
func (t *Task) InMountNamespace(f func() unix.Errno) unix.Errno {
	own, e := sys.Openat(unix.AT_FDCWD, threadMountNS, unix.O_RDONLY, 0)
	if e != 0 {
		return e
	}
	defer unix.Close(own)
	theirs, e := openNamespace(t.TID, "mnt")
	if e != 0 {
		return e
	}
	defer unix.Close(theirs)
	if sameInode(own, theirs) {
		return f()
	}
	root, e := sys.Openat(unix.AT_FDCWD, sys.Slash, unix.O_PATH|unix.O_DIRECTORY, 0)
	if e != 0 {
		return e
	}
	defer unix.Close(root)
	if e := sys.Setns(theirs, unix.CLONE_NEWNS); e != 0 {
		return e
	}
	// setns(2) has made the namespace's root the thread's root and working directory.
	e = t.ReturnToProc()
	if e == 0 {
		e = t.AdoptRoot()
	}
	if e == 0 {
		e = f()
	}
	back := sys.Setns(own, unix.CLONE_NEWNS)
	if back == 0 {
		back = t.setRoot(root)
	}
	if back != 0 {
		panic("the container's mount namespace is gone")
	}
	return e
}
