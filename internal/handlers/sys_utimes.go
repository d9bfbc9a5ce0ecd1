package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// TimeFormat is the format of the access and modification time in a call's argument.
type TimeFormat struct {
	word int   // the size of time_t, and of the fraction
	unit int64 // unit of the fraction, in nanoseconds; 0: there is none
	low  bool  // the upper half of the fraction is ignored
}

// The formats of 64-bit programs, and of i386.
var (
	Utimbuf    = TimeFormat{word: 8}
	Timeval    = TimeFormat{word: 8, unit: 1000}
	Timespec   = TimeFormat{word: 8, unit: 1}
	Utimbuf32  = TimeFormat{word: 4}
	Timeval32  = TimeFormat{word: 4, unit: 1000}
	Timespec32 = TimeFormat{word: 4, unit: 1}

	// TimespecI386 is struct __kernel_timespec, whose tv_nsec has 64 bits. Programs for
	// i386 set the lower 32 bits only.
	TimespecI386 = TimeFormat{word: 8, unit: 1, low: true}
)

// Utime handles utime(path, times) and utimes(path, times).
func Utime(f TimeFormat) Handler {
	return func(c *Call) Result { return c.utimes(byPath, f, c.addr(1)) }
}

// Futimesat handles futimesat(dirfd, path, times).
func Futimesat(f TimeFormat) Handler {
	return func(c *Call) Result { return c.utimesat(f, 0) }
}

// Utimensat handles utimensat(dirfd, path, times, flags).
func Utimensat(f TimeFormat) Handler {
	return func(c *Call) Result { return c.utimesat(f, c.uint32(3)) }
}

func (c *Call) utimesat(f TimeFormat, flags uint32) Result {
	o := object{dirfd: c.int32(0), path: 1, flags: flags}
	// utimensat(2): "if pathname is NULL, then the call modifies the timestamps of the file
	// referred to by the file descriptor dirfd".
	if c.addr(1) == 0 && o.dirfd != unix.AT_FDCWD {
		if flags != 0 {
			return Continue // EINVAL, unless both times are UTIME_OMIT
		}
		o.path = byFD
	}
	return c.utimes(o, f, c.addr(2))
}

// utimes sets the times of the object o to those at addr.
func (c *Call) utimes(o object, f TimeFormat, addr uintptr) Result {
	if c.kernelDecides(1 << unix.CAP_FOWNER) {
		if o.path == byFD && c.isHostDevice(o.dirfd) {
			return Errno(0)
		}
		return Continue
	}
	times := [2]unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_NOW}}
	valid := true
	if addr != 0 {
		var e unix.Errno
		if valid, e = c.readTimes(f, addr, &times); e != 0 {
			return Errno(e)
		}
	}
	if !valid && f.unit != 1 { // for nanoseconds, the kernel gives EINVAL after errors of the path
		return Errno(unix.EINVAL)
	}
	atime, mtime := times[0].Nsec, times[1].Nsec
	// "If both tv_nsec fields are specified as UTIME_OMIT, then the Linux implementation of
	// utimensat() succeeds even if the file referred to by dirfd and pathname does not exist."
	if atime == unix.UTIME_OMIT && mtime == unix.UTIME_OMIT {
		return Continue
	}
	i, e := c.openObject(o)
	if e != 0 {
		return Errno(e)
	}
	defer c.close(i)
	if !valid {
		return Errno(unix.EINVAL)
	}
	v := c.visible(i)
	now := atime == unix.UTIME_NOW && mtime == unix.UTIME_NOW
	writable := now && c.permitsAs(i, v, perm.Write) == 0
	if e := perm.Utimes(c.identity().Credentials, v, now, writable); e != 0 {
		return denyStatusChange(i, e)
	}
	if !c.Listener.Waits() {
		return Errno(unix.ESRCH)
	}
	return Errno(sys.FutimensOPath(i.fd, &times))
}

// readTimes reads times in the format f. Valid is false if they are out of range. The error
// is EFAULT.
func (c *Call) readTimes(f TimeFormat, addr uintptr, times *[2]unix.Timespec) (valid bool, e unix.Errno) {
	var b [32]byte
	size := f.word
	if f.unit != 0 {
		size *= 2
	}
	if n, e := c.Target.Read(addr, b[:2*size]); e != 0 || n < 2*size {
		return false, unix.EFAULT
	}
	valid = true
	for i := range times {
		t := f.decode(b[i*size:])
		if f.unit != 0 {
			special := f.unit == 1 && (t.Nsec == unix.UTIME_NOW || t.Nsec == unix.UTIME_OMIT)
			if !special && (t.Nsec < 0 || t.Nsec >= 1e9/f.unit) {
				valid = false
			}
			t.Nsec *= f.unit
		}
		times[i] = t
	}
	return valid, 0
}

// decode returns the time at the start of b, with the fraction in f.unit.
func (f TimeFormat) decode(b []byte) unix.Timespec {
	t := unix.Timespec{Sec: f.at(b)}
	if f.unit != 0 {
		t.Nsec = f.at(b[f.word:])
	}
	if f.low {
		t.Nsec &= 0xffffffff
	}
	return t
}

// at returns the word at the start of b.
func (f TimeFormat) at(b []byte) int64 {
	if f.word == 4 {
		return int64(int32(le.Uint32(b)))
	}
	return int64(le.Uint64(b))
}
