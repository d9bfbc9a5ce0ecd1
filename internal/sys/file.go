package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Openat is openat(2), with O_CLOEXEC.
func Openat(dirfd int, path *byte, flags int, mode uint32) (int, unix.Errno) {
	fd, _, e := syscall.Syscall6(unix.SYS_OPENAT, uintptr(dirfd), uintptr(unsafe.Pointer(path)),
		uintptr(flags|unix.O_CLOEXEC), uintptr(mode), 0, 0)
	return result(fd, e)
}

// Openat2 is openat2(2). It sets O_CLOEXEC in how.
func Openat2(dirfd int, path *byte, how *unix.OpenHow) (int, unix.Errno) {
	how.Flags |= unix.O_CLOEXEC
	fd, _, e := syscall.Syscall6(unix.SYS_OPENAT2, uintptr(dirfd), uintptr(unsafe.Pointer(path)),
		uintptr(unsafe.Pointer(how)), unsafe.Sizeof(*how), 0, 0)
	return result(fd, e)
}

// Reopen opens the file of the descriptor fd, which may be an O_PATH descriptor, again. The
// flags are those of open(2). /proc must be the working directory: see FDPath.
func Reopen(fd, flags int) (int, unix.Errno) {
	var p FDPath
	return Openat(unix.AT_FDCWD, p.Of(fd), flags, 0)
}

// MemfdCreate is memfd_create(2), with MFD_CLOEXEC.
func MemfdCreate(name *byte, flags uint32) (int, unix.Errno) {
	fd, _, e := syscall.RawSyscall(unix.SYS_MEMFD_CREATE, uintptr(unsafe.Pointer(name)), uintptr(flags|unix.MFD_CLOEXEC), 0)
	return result(fd, e)
}

// Seal is fcntl(2) with F_ADD_SEALS. The man page: "Using the F_ADD_SEALS operation to set the
// F_SEAL_WRITE seal fails with EBUSY if any writable, shared mapping exists." It also does if
// something in the kernel still refers to a page of the file after 150 ms, as happens on a busy
// machine, so it is tried again.
func Seal(fd, seals int) unix.Errno {
	const attempts = 20 // 3 s
	for attempt := 1; ; attempt++ {
		_, _, e := syscall.Syscall(unix.SYS_FCNTL, uintptr(fd), unix.F_ADD_SEALS, uintptr(seals))
		if e != unix.EINTR && e != unix.EBUSY || attempt == attempts {
			return e
		}
	}
}

// Fstat is fstat(2).
func Fstat(fd int, st *unix.Stat_t) unix.Errno {
	_, _, e := syscall.Syscall(unix.SYS_FSTAT, uintptr(fd), uintptr(unsafe.Pointer(st)), 0)
	return e
}

// Stat is stat(2): it follows a symbolic link at the end of path.
func Stat(path *byte, st *unix.Stat_t) unix.Errno {
	_, _, e := syscall.Syscall6(fstatat, atCwd, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(st)), 0, 0, 0)
	return e
}

// Lstat is lstat(2): it does not follow a symbolic link at the end of path.
func Lstat(path *byte, st *unix.Stat_t) unix.Errno {
	_, _, e := syscall.Syscall6(fstatat, atCwd, uintptr(unsafe.Pointer(path)),
		uintptr(unsafe.Pointer(st)), unix.AT_SYMLINK_NOFOLLOW, 0, 0)
	return e
}

// atCwd is AT_FDCWD as a register.
const atCwd = ^uintptr(-unix.AT_FDCWD - 1)

// Statx is statx(2).
func Statx(dirfd int, path *byte, flags, mask int, st *unix.Statx_t) unix.Errno {
	_, _, e := syscall.Syscall6(unix.SYS_STATX, uintptr(dirfd), uintptr(unsafe.Pointer(path)),
		uintptr(flags), uintptr(mask), uintptr(unsafe.Pointer(st)), 0)
	return e
}

// Fstatfs is fstatfs(2).
func Fstatfs(fd int, fs *unix.Statfs_t) unix.Errno {
	_, _, e := syscall.Syscall(unix.SYS_FSTATFS, uintptr(fd), uintptr(unsafe.Pointer(fs)), 0)
	return e
}

// Statfs stores the status of the file system that path is on in fs: statfs(2).
func Statfs(path *byte, fs *unix.Statfs_t) unix.Errno {
	_, _, e := syscall.Syscall(unix.SYS_STATFS, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(fs)), 0)
	return e
}

// FileSystem returns the type of the file system that the file of the descriptor fd is on,
// such as PROC_SUPER_MAGIC (statfs(2)); 0 on failure.
func FileSystem(fd int) int64 {
	var fs unix.Statfs_t
	if Fstatfs(fd, &fs) != 0 {
		return 0
	}
	return fs.Type
}

// MountID returns the id of the mount that the file of the descriptor fd is on, as in
// /proc/self/mountinfo; 0 on failure.
func MountID(fd int) uint64 {
	var st unix.Statx_t
	Statx(fd, Empty, unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st)
	return st.Mnt_id
}

// Access checks the calling thread's permissions, by its effective ids, to the file of the
// descriptor fd: faccessat2(2). The mode is a mask of R_OK, W_OK and X_OK.
func Access(fd int, mode uint32) unix.Errno {
	_, _, e := syscall.Syscall6(unix.SYS_FACCESSAT2, uintptr(fd), uintptr(unsafe.Pointer(Empty)),
		uintptr(mode), unix.AT_EACCESS|unix.AT_EMPTY_PATH, 0, 0)
	return e
}

// Readlinkat reads the target of a symbolic link into b, and returns its length in bytes. It
// truncates a target that is longer than b: readlinkat(2).
func Readlinkat(dirfd int, path *byte, b []byte) (int, unix.Errno) {
	n, _, e := syscall.Syscall6(unix.SYS_READLINKAT, uintptr(dirfd), uintptr(unsafe.Pointer(path)),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), 0, 0)
	return result(n, e)
}

// NameToHandleAt is name_to_handle_at(2). Handle points to a struct file_handle, and mount
// receives the mount id.
func NameToHandleAt(dirfd int, path *byte, handle unsafe.Pointer, mount *int32, flags int) unix.Errno {
	_, _, e := syscall.Syscall6(unix.SYS_NAME_TO_HANDLE_AT, uintptr(dirfd), uintptr(unsafe.Pointer(path)),
		uintptr(handle), uintptr(unsafe.Pointer(mount)), uintptr(flags), 0)
	return e
}

// Mkdirat is mkdirat(2).
func Mkdirat(dirfd int, path *byte, mode uint32) unix.Errno {
	_, _, e := syscall.Syscall(unix.SYS_MKDIRAT, uintptr(dirfd), uintptr(unsafe.Pointer(path)), uintptr(mode))
	return e
}

// Mknodat is mknodat(2).
func Mknodat(dirfd int, path *byte, mode, dev uint32) unix.Errno {
	_, _, e := syscall.Syscall6(unix.SYS_MKNODAT, uintptr(dirfd), uintptr(unsafe.Pointer(path)), uintptr(mode), uintptr(dev), 0, 0)
	return e
}

// Symlinkat is symlinkat(2).
func Symlinkat(target *byte, dirfd int, path *byte) unix.Errno {
	_, _, e := syscall.Syscall(unix.SYS_SYMLINKAT, uintptr(unsafe.Pointer(target)), uintptr(dirfd), uintptr(unsafe.Pointer(path)))
	return e
}

// Unlinkat is unlinkat(2).
func Unlinkat(dirfd int, path *byte, flags int) unix.Errno {
	_, _, e := syscall.Syscall(unix.SYS_UNLINKAT, uintptr(dirfd), uintptr(unsafe.Pointer(path)), uintptr(flags))
	return e
}

// Renameat is renameat(2): it replaces an existing newpath.
func Renameat(olddirfd int, oldpath *byte, newdirfd int, newpath *byte) unix.Errno {
	_, _, e := syscall.Syscall6(unix.SYS_RENAMEAT2, uintptr(olddirfd), uintptr(unsafe.Pointer(oldpath)),
		uintptr(newdirfd), uintptr(unsafe.Pointer(newpath)), 0, 0)
	return e
}

// Fchown is fchown(2). The error is EBADF for O_PATH descriptors.
func Fchown(fd int, uid, gid uint32) unix.Errno {
	_, _, e := syscall.Syscall(unix.SYS_FCHOWN, uintptr(fd), uintptr(uid), uintptr(gid))
	return e
}

// FchownOPath is Fchown, and also accepts O_PATH descriptors.
func FchownOPath(fd int, uid, gid uint32) unix.Errno {
	_, _, e := syscall.Syscall6(unix.SYS_FCHOWNAT, uintptr(fd), uintptr(unsafe.Pointer(Empty)),
		uintptr(uid), uintptr(gid), unix.AT_EMPTY_PATH, 0)
	return e
}

// FchmodOPath is fchmod(2), and also accepts O_PATH descriptors. It ignores the file type in
// mode. /proc must be the working directory: see FDPath.
func FchmodOPath(fd int, mode uint32) unix.Errno {
	var p FDPath
	_, _, e := syscall.Syscall(unix.SYS_FCHMODAT, atCwd, uintptr(unsafe.Pointer(p.Of(fd))), uintptr(mode&0o7777))
	return e
}

// FutimensOPath is futimens(2), and also accepts O_PATH descriptors. The times are those of
// the last access and the last modification. /proc must be the working directory: see FDPath.
func FutimensOPath(fd int, times *[2]unix.Timespec) unix.Errno {
	var p FDPath
	_, _, e := syscall.Syscall6(unix.SYS_UTIMENSAT, atCwd, uintptr(unsafe.Pointer(p.Of(fd))), uintptr(unsafe.Pointer(times)), 0, 0, 0)
	return e
}

// Read is read(2). It returns the number of bytes read.
func Read(fd int, b []byte) (int, unix.Errno) {
	n, _, e := syscall.Syscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return result(n, e)
}

// Pwrite is pwrite(2). It returns the number of bytes written.
func Pwrite(fd int, b []byte, offset int64) (int, unix.Errno) {
	n, _, e := syscall.RawSyscall6(unix.SYS_PWRITE64, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), uintptr(offset), 0, 0)
	return result(n, e)
}

// Pread is pread(2) at offset 0. It returns the number of bytes read.
func Pread(fd int, b []byte) (int, unix.Errno) { return PreadAt(fd, b, 0) }

// PreadAt is pread(2). It returns the number of bytes read.
func PreadAt(fd int, b []byte, offset int64) (int, unix.Errno) {
	n, _, e := syscall.Syscall6(unix.SYS_PREAD64, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), uintptr(offset), 0, 0)
	return result(n, e)
}

// Write is write(2). It returns the number of bytes written, which may be less than len(b).
func Write(fd int, b []byte) (int, unix.Errno) {
	n, _, e := syscall.Syscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return result(n, e)
}

// RawWrite is Write for a process that must not start a thread meanwhile, as Go does for calls that
// take long.
func RawWrite(fd int, b []byte) (int, unix.Errno) {
	n, _, e := syscall.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return result(n, e)
}

// Lseek is lseek(2). It returns the new offset in bytes.
func Lseek(fd int, offset int64, whence int) (int64, unix.Errno) {
	r, _, e := syscall.Syscall(unix.SYS_LSEEK, uintptr(fd), uintptr(offset), uintptr(whence))
	return int64(r), e
}

// Getdents64 is getdents64(2). It fills b with struct linux_dirent64, and returns the number of
// bytes: 0 at the end of the directory.
func Getdents64(fd int, b []byte) (int, unix.Errno) {
	n, _, e := syscall.Syscall(unix.SYS_GETDENTS64, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return result(n, e)
}

// Ioctl is ioctl(2) with a pointer as its argument.
func Ioctl(fd int, cmd uint32, arg unsafe.Pointer) unix.Errno {
	_, _, e := syscall.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(cmd), uintptr(arg))
	return e
}

// IoctlInt is ioctl(2) with a number as its argument. It returns the result.
func IoctlInt(fd int, cmd uint32, arg uintptr) (int, unix.Errno) {
	r, _, e := syscall.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(cmd), arg)
	return result(r, e)
}

// Chdir is chdir(2).
func Chdir(path *byte) unix.Errno {
	_, _, e := syscall.Syscall(unix.SYS_CHDIR, uintptr(unsafe.Pointer(path)), 0, 0)
	return e
}

// Fchdir is fchdir(2).
func Fchdir(fd int) unix.Errno {
	_, _, e := syscall.Syscall(unix.SYS_FCHDIR, uintptr(fd), 0, 0)
	return e
}

// Chroot is chroot(2).
func Chroot(path *byte) unix.Errno {
	_, _, e := syscall.Syscall(unix.SYS_CHROOT, uintptr(unsafe.Pointer(path)), 0, 0)
	return e
}

// Umask is umask(2). It does not return the old mask.
func Umask(mask uint32) { syscall.RawSyscall(unix.SYS_UMASK, uintptr(mask), 0, 0) }

// CoarseNow returns the time of the clock that file systems use for timestamps, in nanoseconds
// since the epoch: clock_gettime(2), CLOCK_REALTIME_COARSE.
func CoarseNow() int64 {
	var t unix.Timespec
	syscall.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_REALTIME_COARSE, uintptr(unsafe.Pointer(&t)), 0)
	return t.Nano()
}

// result returns r as a descriptor or a number of bytes, or -1 if e is an error.
func result(r uintptr, e unix.Errno) (int, unix.Errno) {
	if e != 0 {
		return -1, e
	}
	return int(r), 0
}

// FileGetattr is file_getattr(2), of Linux 6.17.
func FileGetattr(dirfd int, path *byte, attr []byte, flags int) unix.Errno {
	_, _, e := syscall.Syscall6(unix.SYS_FILE_GETATTR, uintptr(dirfd), uintptr(unsafe.Pointer(path)),
		uintptr(unsafe.Pointer(unsafe.SliceData(attr))), uintptr(len(attr)), uintptr(flags), 0)
	return e
}

// FileSetattr is file_setattr(2), of Linux 6.17.
func FileSetattr(dirfd int, path *byte, attr []byte, flags int) unix.Errno {
	_, _, e := syscall.Syscall6(unix.SYS_FILE_SETATTR, uintptr(dirfd), uintptr(unsafe.Pointer(path)),
		uintptr(unsafe.Pointer(unsafe.SliceData(attr))), uintptr(len(attr)), uintptr(flags), 0)
	return e
}

// SetLease is fcntl(2) with F_SETLEASE. Kind is F_RDLCK, F_WRLCK or F_UNLCK.
func SetLease(fd, kind int) unix.Errno {
	_, _, e := syscall.Syscall(unix.SYS_FCNTL, uintptr(fd), unix.F_SETLEASE, uintptr(kind))
	return e
}

// TruncateOPath is ftruncate(2) for descriptors that are not open for writing, such as O_PATH
// ones. /proc must be the working directory: see FDPath.
func TruncateOPath(fd int, length int64) unix.Errno {
	var p FDPath
	_, _, e := syscall.Syscall(unix.SYS_TRUNCATE, uintptr(unsafe.Pointer(p.Of(fd))), uintptr(length), 0)
	return e
}

// FanotifyMark is fanotify_mark(2).
func FanotifyMark(fd int, flags uint32, mask uint64, dirfd int, path *byte) unix.Errno {
	_, _, e := syscall.Syscall6(unix.SYS_FANOTIFY_MARK, uintptr(fd), uintptr(flags), uintptr(mask), uintptr(dirfd), uintptr(unsafe.Pointer(path)), 0)
	return e
}

// InotifyAddWatch watches the object at path for the events in mask, and returns the watch
// descriptor: inotify_add_watch(2).
func InotifyAddWatch(fd int, path *byte, mask uint32) (int, unix.Errno) {
	n, _, e := syscall.Syscall(unix.SYS_INOTIFY_ADD_WATCH, uintptr(fd), uintptr(unsafe.Pointer(path)), uintptr(mask))
	return result(n, e)
}

// Flock is flock(2). It goes on waiting when a signal interrupts it. With LOCK_NB, the error is
// EWOULDBLOCK if somebody else has the lock.
func Flock(fd, how int) error {
	for {
		if err := unix.Flock(fd, how); err != unix.EINTR {
			return err
		}
	}
}
