package userns

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// MapRoot maps root of the user namespace of the thread tid, unless the namespace has a map: to
// the ids uid and gid, if its parent is the namespace of the caller, or to root of its parent.
// Proc is a descriptor of a procfs that shows tid. The caller has all capabilities in its own
// namespace, which contains the thread's.
//
// user_namespaces(7): "The writing process must either be in the user namespace of the process
// pid or be in the parent user namespace". So in deeper namespaces, a child process writes.
func MapRoot(proc int, tid uint32, uid, gid uint32) unix.Errno {
	var files [2]mapFile
	for i := range files {
		f := &files[i]
		id := [...]uint32{uid, gid}[i]
		f.setPath(tid, [...]string{"uid_map", "gid_map"}[i])
		f.setText(id)
	}
	if mapped, e := files[1].isMapped(proc); mapped || e != 0 {
		return e
	}
	parent, own, e := parentNamespace(proc, tid)
	if e != 0 {
		return e
	}
	defer unix.Close(parent)
	if !own {
		for i := range files {
			files[i].setText(0)
		}
		return forkMap(parent, proc, &files)
	}
	for i := range files {
		if e := files[i].write(proc); e != 0 && e != unix.EPERM { // EPERM: it is mapped
			return e
		}
	}
	return 0
}

// mapFile is a file to write a map to: NUL-terminated path below a procfs, and text.
type mapFile struct {
	path [32]byte
	text [32]byte
	size int // of text
}

func (f *mapFile) setPath(tid uint32, name string) {
	b := append(appendUint(f.path[:0], tid), '/')
	_ = append(append(b, name...), 0)
}

// setText sets the text that maps root to the outside id.
func (f *mapFile) setText(outside uint32) {
	b := append(f.text[:0], "0 "...)
	f.size = len(append(appendUint(b, outside), " 1\n"...))
}

// isMapped reports whether the file has a map.
func (f *mapFile) isMapped(proc int) (bool, unix.Errno) {
	fd, e := sys.Openat(proc, &f.path[0], unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if e != 0 {
		return false, orGone(e)
	}
	var b [1]byte
	n, e := sys.Read(fd, b[:])
	unix.Close(fd)
	return n > 0, orGone(e)
}

func (f *mapFile) write(proc int) unix.Errno {
	fd, e := sys.Openat(proc, &f.path[0], unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if e != 0 {
		return orGone(e)
	}
	_, e = sys.Write(fd, f.text[:f.size])
	unix.Close(fd)
	return orGone(e)
}

// orGone returns ESRCH for the error of a file of a thread that has exited, otherwise e.
func orGone(e unix.Errno) unix.Errno {
	if e == unix.ENOENT {
		return unix.ESRCH
	}
	return e
}

// parentNamespace returns a descriptor of the parent of the user namespace of the thread tid, and
// reports whether that is the caller's own.
func parentNamespace(proc int, tid uint32) (fd int, own bool, e unix.Errno) {
	var path [32]byte
	_ = append(append(appendUint(path[:0], tid), "/ns/user"...), 0)
	ns, e := sys.Openat(proc, &path[0], unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if e != 0 {
		return -1, false, orGone(e)
	}
	defer unix.Close(ns)
	parent, e := sys.IoctlInt(ns, unix.NS_GET_PARENT, 0)
	if e != 0 {
		return -1, false, e
	}
	self, e := sys.Openat(proc, unsafe.StringData("self/ns/user\x00"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if e != 0 {
		unix.Close(parent)
		return -1, false, e
	}
	defer unix.Close(self)
	own, err := Equal(parent, self)
	if err != nil {
		unix.Close(parent)
		return -1, false, unix.EIO
	}
	return parent, own, 0
}

// appendUint is strconv.AppendUint for small buffers of the stack.
func appendUint(b []byte, v uint32) []byte {
	var digits [10]byte
	at := len(digits)
	for {
		at--
		digits[at] = byte('0' + v%10)
		if v /= 10; v == 0 {
			return append(b, digits[at:]...)
		}
	}
}

// forkMap writes the files in a child process that enters the namespace ns first. Files that are
// mapped already stay as they are.
func forkMap(ns, proc int, files *[2]mapFile) unix.Errno {
	syscall.ForkLock.Lock()
	pid, e := forkWriter(ns, proc, files)
	syscall.ForkLock.Unlock()
	if e != 0 {
		return e
	}
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(pid, &status, 0, nil)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return err.(unix.Errno)
		}
	}
	if !status.Exited() {
		return unix.EIO
	}
	return orGone(unix.Errno(status.ExitStatus()))
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
		fd, _, e = syscall.RawSyscall6(unix.SYS_OPENAT, uintptr(proc), uintptr(unsafe.Pointer(&files[i].path)), unix.O_WRONLY, 0, 0, 0)
		if e != 0 {
			goto exit
		}
		_, _, e = syscall.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(&files[i].text)), uintptr(files[i].size))
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
