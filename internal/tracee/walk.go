package tracee

import (
	"bytes"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxLinks is the kernel's limit of symbolic links in one path: "ELOOP: Too many
// symbolic links were encountered", path_resolution(7).
const maxLinks = 40

// openStray opens what p names as Open does, walking the path step by step, so
// that /proc/self and /proc/thread-self mean the task and not the supervisor.
func (t *Tracee) openStray(p Path, st *unix.Stat_t) (int, unix.Errno) {
	var cur int
	var e unix.Errno
	if p.text[0] == '/' {
		cur, e = openRoot()
	} else {
		cur, e = t.openStart(p.dirfd)
	}
	if e != 0 {
		return -1, t.dirfdError(p, e)
	}
	rest := t.walk[len(t.walk)-len(p.text):]
	copy(rest, p.text)
	for links := 0; ; {
		name, more := nextName(&rest)
		if name == nil {
			e := Fstat(cur, st)
			if e == 0 && len(rest) > 0 && st.Mode&unix.S_IFMT != unix.S_IFDIR {
				e = unix.ENOTDIR // a slash at the end
			}
			if e != 0 {
				unix.Close(cur)
				return -1, e
			}
			return cur, 0
		}
		next, e := t.step(cur, name, more || p.Follow, &rest, &links)
		unix.Close(cur)
		if e != 0 {
			return -1, e
		}
		cur = next
	}
}

// nextName takes the next name off the path, NUL-terminated. More tells whether
// something comes after it, if only a slash: then a link must be followed.
func nextName(path *[]byte) (name []byte, more bool) {
	rest := bytes.TrimLeft(*path, "/")
	if len(rest) == 0 {
		return nil, false
	}
	end := bytes.IndexByte(rest, '/')
	if end < 0 {
		end = len(rest)
	}
	*path = rest[end:]
	name = make([]byte, end+1)
	copy(name, rest[:end])
	return name, end < len(rest)
}

// step opens name in the directory dir. The target of a symbolic link that is to
// be followed is put before rest instead, and the directory to go on from returned.
func (t *Tracee) step(dir int, name []byte, follow bool, rest *[]byte, links *int) (int, unix.Errno) {
	fd, e := openat(dir, &name[0], unix.O_PATH|unix.O_NOFOLLOW)
	if e != 0 {
		return -1, e
	}
	var st unix.Stat_t
	if e := Fstat(fd, &st); e != 0 || st.Mode&unix.S_IFMT != unix.S_IFLNK || !follow {
		return fd, e
	}
	if *links++; *links > maxLinks {
		unix.Close(fd)
		return -1, unix.ELOOP
	}
	if next, done, e := t.procLink(dir, fd, name); done {
		unix.Close(fd)
		return next, e
	}
	room := len(t.walk) - len(*rest)
	target := make([]byte, unix.PathMax)
	n, _, e := syscall.RawSyscall6(unix.SYS_READLINKAT, uintptr(fd), uintptr(unsafe.Pointer(&emptyPath[0])),
		uintptr(unsafe.Pointer(&target[0])), uintptr(len(target)), 0, 0)
	unix.Close(fd)
	if e != 0 {
		return -1, e
	}
	if n == 0 || int(n)+1 > room {
		return -1, unix.ENAMETOOLONG
	}
	start := room - int(n)
	copy(t.walk[start:], target[:n])
	*rest = t.walk[start:]
	if target[0] == '/' {
		return openRoot()
	}
	return openat(dir, &dot[0], unix.O_PATH)
}

func openRoot() (int, unix.Errno) { return openat(unix.AT_FDCWD, &slash[0], unix.O_PATH) }

var (
	emptyPath = [...]byte{0}
	slash     = [...]byte{'/', 0}
	dot       = [...]byte{'.', 0}
)

// procLink follows the links of procfs that have no path as their target: to the
// task itself, and to files that it has open. Done is false for other links.
func (t *Tracee) procLink(dir, link int, name []byte) (fd int, done bool, e unix.Errno) {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(link, &fs); err != nil || fs.Type != unix.PROC_SUPER_MAGIC {
		return -1, false, 0
	}
	switch string(name[:len(name)-1]) {
	case "self", "thread-self":
		// The supervisor's own /proc, by the thread's id: self, which is the
		// process, differs from that only for threads that share no descriptors.
		var b [room]byte
		_ = append(strconv.AppendUint(b[:0], uint64(t.TID), 10), 0)
		fd, e = openat(t.proc, &b[0], unix.O_PATH)
		return fd, true, e
	}
	if fd, e = openat2(dir, &name[0], unix.O_PATH, 0); e == unix.ELOOP {
		fd, e = openat(dir, &name[0], unix.O_PATH)
		return fd, true, e
	}
	if e == 0 {
		unix.Close(fd)
	}
	return -1, false, 0 // an ordinary link, such as /proc/mounts
}

// appendSelfFD appends "self/fd/N/".
func appendSelfFD(b []byte, fd int) []byte {
	b = append(b, "self/fd/"...)
	return append(strconv.AppendUint(b, uint64(fd), 10), '/')
}
