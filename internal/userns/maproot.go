package userns

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MapRoot maps root of the user namespace of the thread tid, unless the namespace has a map: to
// the ids uid and gid, if its parent is the namespace of the caller, or to root of its parent.
// Proc is a descriptor of a procfs that shows tid. The caller has all capabilities in its own
// namespace, which contains the thread's. The error is ESRCH if the thread has exited.
//
// user_namespaces(7): "The writing process must either be in the user namespace of the process
// pid or be in the parent user namespace". So in deeper namespaces, a child process writes.
func MapRoot(proc int, tid uint32, uid, gid uint32) unix.Errno {
	return errnoOf(mapRoot(proc, tid, uid, gid))
}

// errnoOf returns the errno of err, ESRCH for that of a file of a thread that has exited.
func errnoOf(err error) unix.Errno {
	var e unix.Errno
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &e):
		return unix.EIO
	case e == unix.ENOENT:
		return unix.ESRCH
	}
	return e
}

func mapRoot(proc int, tid uint32, uid, gid uint32) error {
	groups := fmt.Sprintf("%d/gid_map", tid) // which is written last
	if mapped, err := hasText(proc, groups); mapped || err != nil {
		return err
	}
	parent, own, err := parentNamespace(proc, tid)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	if !own {
		uid, gid = 0, 0
	}
	files := [2]mapFile{newMapFile(fmt.Sprintf("%d/uid_map", tid), uid), newMapFile(groups, gid)}
	if !own {
		return forkMap(parent, proc, &files)
	}
	for i := range files {
		if err := files[i].write(proc); err != nil && err != unix.EPERM { // EPERM: it is mapped
			return err
		}
	}
	return nil
}

// mapFile is a file to write a map to: its NUL-terminated path below a procfs, and the text.
type mapFile struct{ path, text []byte }

// newMapFile returns the file at path, with the text that maps root to the outside id.
func newMapFile(path string, outside uint32) mapFile {
	return mapFile{append([]byte(path), 0), fmt.Appendf(nil, "0 %d 1\n", outside)}
}

func (f *mapFile) write(proc int) error {
	fd, err := unix.Openat(proc, string(f.path[:len(f.path)-1]), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, f.text)
	return err
}

// hasText reports whether a file below the directory dir is not empty.
func hasText(dir int, path string) (bool, error) {
	fd, err := unix.Openat(dir, path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	var b [1]byte
	n, err := unix.Read(fd, b[:])
	return n > 0, err
}

// parentNamespace returns a descriptor of the parent of the user namespace of the thread tid, and
// reports whether that is the caller's own.
func parentNamespace(proc int, tid uint32) (fd int, own bool, err error) {
	ns, err := unix.Openat(proc, fmt.Sprintf("%d/ns/user", tid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, false, err
	}
	defer unix.Close(ns)
	parent, err := unix.IoctlRetInt(ns, unix.NS_GET_PARENT)
	if err != nil {
		return -1, false, err
	}
	self, err := unix.Openat(proc, "self/ns/user", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		own, err = Equal(parent, self)
		unix.Close(self)
	}
	if err != nil {
		unix.Close(parent)
		return -1, false, err
	}
	return parent, own, nil
}

// forkMap writes the files in a child process that enters the namespace ns first. Files that are
// mapped already stay as they are.
func forkMap(ns, proc int, files *[2]mapFile) error {
	syscall.ForkLock.Lock()
	pid, e := forkWriter(ns, proc, files)
	syscall.ForkLock.Unlock()
	if e != 0 {
		return e
	}
	status, err := Wait(pid)
	if err != nil {
		return err
	}
	if !status.Exited() {
		return fmt.Errorf("the child that writes maps has ended with the status %#x", status)
	}
	if e := unix.Errno(status.ExitStatus()); e != 0 {
		return e
	}
	return nil
}

// forkWriter forks. The child exits with the error number of what has failed, or 0. As in fork,
// the child must not grow the stack, allocate, or call anything except raw system calls.
//
//go:noinline
//go:norace
//go:nocheckptr
func forkWriter(ns, proc int, files *[2]mapFile) (int, syscall.Errno) {
	var fd uintptr
	beforeFork()
	pid, _, e := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if e != 0 || pid != 0 {
		afterFork()
		return int(pid), e
	}
	afterForkInChild()
	if _, _, e = syscall.RawSyscall(unix.SYS_SETNS, uintptr(ns), unix.CLONE_NEWUSER, 0); e != 0 {
		goto exit
	}
	for i := range files {
		fd, _, e = syscall.RawSyscall6(unix.SYS_OPENAT, uintptr(proc), uintptr(unsafe.Pointer(&files[i].path[0])), unix.O_WRONLY, 0, 0, 0)
		if e != 0 {
			goto exit
		}
		_, _, e = syscall.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(&files[i].text[0])), uintptr(len(files[i].text)))
		if e == syscall.EPERM {
			e = 0
		}
		if e != 0 {
			goto exit
		}
	}
exit:
	for {
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, uintptr(e), 0, 0)
	}
}
