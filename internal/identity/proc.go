package identity

import (
	"io"
	"os"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// getCookie returns the soft RLIMIT_LOCKS of the process of tid, which may be no cookie.
func getCookie(tid uint32) (cookie, unix.Errno) {
	var l unix.Rlimit
	e := prlimit(tid, nil, &l)
	return cookie(l.Cur), e
}

// prlimit is prlimit(2) for RLIMIT_LOCKS.
func prlimit(tid uint32, set, get *unix.Rlimit) unix.Errno {
	return sys.Prlimit(tid, unix.RLIMIT_LOCKS, set, get)
}

// path is the path of a file below the supervisor's /proc.
type path [48]byte

// set makes p the path of a file of the task tid, and returns its first byte.
func (p *path) set(tid uint32, name string) *byte {
	b := append(strconv.AppendUint(p[:0], uint64(tid), 10), '/')
	_ = append(append(b, name...), 0)
	return &p[0]
}

// open opens a file of the task tid in /proc. The error is ESRCH if the task has exited.
func (t *Table) open(tid uint32, name string, flags int) (int, unix.Errno) {
	var p path
	fd, e := sys.Openat(t.proc, p.set(tid, name), flags, 0)
	if e == unix.ENOENT {
		e = unix.ESRCH
	}
	return fd, e
}

// suidDumpable is suid_dumpable in proc_sys_fs(5).
type suidDumpable struct {
	fd    int          // of the file; -1 if it is not accessible
	value atomic.Int32 // what was read last
	read  atomic.Int64 // when, as Unix time in nanoseconds
}

// maxAge is how long what has been read counts, as an administrator changes it once in years, and
// programs their ids in each system call.
const maxAge = 100 * time.Millisecond

// open opens the file.
func (d *suidDumpable) open(proc int) {
	fd, err := unix.Openat(proc, "sys/fs/suid_dumpable", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		fd = -1
	}
	d.fd = fd
}

// SuidDumpable returns the "dumpable" attribute that a process gets when its credentials change,
// which is the same for all of the machine: suid_dumpable in proc_sys_fs(5). It is 0, the kernel's
// default, where a container around this one hides it.
func (t *Table) SuidDumpable() int {
	d, now := &t.suidDumpable, time.Now().UnixNano()
	if age := now - d.read.Load(); age < 0 || age > int64(maxAge) {
		var b [2]byte
		if n, e := sys.Pread(d.fd, b[:]); e != 0 || n == 0 || b[0] < '0' || b[0] > '2' {
			b[0] = '0'
		}
		d.value.Store(int32(b[0] - '0'))
		d.read.Store(now)
	}
	return int(d.value.Load())
}

// singleThreaded reports whether the thread tid is the only one of its process.
func (t *Table) singleThreaded(tid uint32) (bool, unix.Errno) {
	var p path
	var st unix.Statx_t
	e := sys.Statx(t.proc, p.set(tid, "task"), 0, unix.STATX_NLINK, &st)
	if e == unix.ENOENT {
		e = unix.ESRCH
	}
	return st.Nlink == 3, e // ".", the entry in the parent directory, and one thread
}

// slack returns the timer slack of a thread in nanoseconds.
func (t *Table) slack(tid uint32) (uint64, unix.Errno) {
	var b [24]byte
	n, e := t.read(tid, "timerslack_ns", b[:])
	if e != 0 {
		return 0, e
	}
	var v uint64
	for _, c := range b[:n] {
		if c < '0' || c > '9' {
			break
		}
		v = v*10 + uint64(c-'0')
	}
	return v, 0
}

// setSlack sets the timer slack of a thread to ns nanoseconds; 0 is its default.
func (t *Table) setSlack(tid uint32, ns uint64) unix.Errno {
	fd, e := t.open(tid, "timerslack_ns", unix.O_WRONLY)
	if e != 0 {
		return e
	}
	var text [24]byte
	b := strconv.AppendUint(text[:0], ns, 10)
	_, e = sys.Write(fd, b)
	unix.Close(fd)
	return e
}

// read reads the start of a file of the task tid in /proc.
func (t *Table) read(tid uint32, name string, b []byte) (int, unix.Errno) {
	fd, e := t.open(tid, name, unix.O_RDONLY)
	if e != 0 {
		return 0, e
	}
	n, e := sys.Read(fd, b)
	unix.Close(fd)
	return n, e
}

// signature returns a hash that changes when the process of tid executes a program. It
// depends on the addresses that the kernel has chosen, which are random unless
// personality(2) forbids that, and on the program's file. A program can change these
// only with prctl(PR_SET_MM), which is notified.
func (t *Table) signature(tid uint32) (uint32, unix.Errno) {
	var auxv [1024]byte
	n, e := t.read(tid, "auxv", auxv[:])
	if e != 0 {
		return 0, e
	}
	h := fnv32a(fnvOffset, auxv[:n])
	var p path
	var st unix.Statx_t
	if e := sys.Statx(t.proc, p.set(tid, "exe"), 0, unix.STATX_INO, &st); e != 0 {
		return 0, e
	}
	inode := [2]uint64{uint64(st.Dev_major)<<32 | uint64(st.Dev_minor), st.Ino}
	h = fnv32a(h, unsafe.Slice((*byte)(unsafe.Pointer(&inode)), unsafe.Sizeof(inode)))
	return (h ^ h>>21) & signatureMask, 0
}

// threads lists the threads of the process of tid. The error is ESRCH if it has exited.
func (t *Table) threads(tid uint32) ([]uint32, unix.Errno) {
	var p path
	list, err := t.numbers(unix.BytePtrToString(p.set(tid, "task")))
	if err != nil {
		return nil, unix.ESRCH
	}
	return list, 0
}

// numbers lists the entries of a directory below the supervisor's /proc whose names are
// numbers.
func (t *Table) numbers(name string) ([]uint32, error) {
	fd, err := unix.Openat(t.proc, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	d := os.NewFile(uintptr(fd), name)
	defer d.Close()
	var list []uint32
	for {
		names, err := d.Readdirnames(1024)
		for _, name := range names {
			if n, err := strconv.ParseUint(name, 10, 32); err == nil {
				list = append(list, uint32(n))
			}
		}
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
