package sys

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ReadMemory copies from the memory of the thread tid at the address addr into b:
// process_vm_readv(2). It returns the number of bytes, which is less than len(b) if the rest
// is not mapped. The error is EFAULT if nothing is mapped at addr, ESRCH if there is no such
// thread, and EPERM without permission to ptrace it.
func ReadMemory(tid uint32, addr uintptr, b []byte) (int, unix.Errno) {
	return transfer(unix.SYS_PROCESS_VM_READV, tid, addr, b)
}

// WriteMemory copies b into the memory of the thread tid at the address addr:
// process_vm_writev(2). It returns the number of bytes and errors like ReadMemory.
func WriteMemory(tid uint32, addr uintptr, b []byte) (int, unix.Errno) {
	return transfer(unix.SYS_PROCESS_VM_WRITEV, tid, addr, b)
}

func transfer(nr uintptr, tid uint32, addr uintptr, b []byte) (int, unix.Errno) {
	if len(b) == 0 {
		return 0, 0
	}
	local := unix.Iovec{Base: &b[0], Len: uint64(len(b))}
	remote := [2]uintptr{addr, uintptr(len(b))} // struct iovec
	n, _, e := syscall.Syscall6(nr, uintptr(tid), uintptr(unsafe.Pointer(&local)), 1, uintptr(unsafe.Pointer(&remote)), 1, 0)
	runtime.KeepAlive(b)
	return result(n, e)
}

// Prlimit is prlimit(2): it gets the limit of the thread tid if get is not nil, and then sets
// it if set is not nil.
func Prlimit(tid uint32, resource int, set, get *unix.Rlimit) unix.Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_PRLIMIT64, uintptr(tid), uintptr(resource),
		uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(get)), 0, 0)
	return e
}

// PidfdOpen is pidfd_open(2). Without the flag PIDFD_THREAD, tid must be a process id.
func PidfdOpen(tid uint32, flags int) (int, unix.Errno) {
	fd, _, e := syscall.RawSyscall(unix.SYS_PIDFD_OPEN, uintptr(tid), uintptr(flags), 0)
	return result(fd, e)
}

// PidfdGetfd is pidfd_getfd(2): it returns a duplicate of the descriptor fd of the process that
// pidfd refers to.
func PidfdGetfd(pidfd int, fd int32) (int, unix.Errno) {
	dup, _, e := syscall.RawSyscall(unix.SYS_PIDFD_GETFD, uintptr(pidfd), uintptr(fd), 0)
	return result(dup, e)
}

// TaskExists reports whether there is a thread tid; also if it has ended, and nobody has waited for it.
func TaskExists(tid uint32) bool {
	_, _, e := syscall.RawSyscall(unix.SYS_TKILL, uintptr(tid), 0, 0)
	return e != unix.ESRCH
}

// Lacks reports whether the kernel lacks the system call nr, or has it switched off (EOPNOTSUPP, as
// landlock(7) without the security module). All arguments are -1: only for calls that fail then, which
// those with a size, flags or a descriptor do.
func Lacks(nr int) bool {
	const bad = ^uintptr(0)
	_, _, e := syscall.RawSyscall6(uintptr(nr), bad, bad, bad, bad, bad, bad)
	return e == unix.ENOSYS || e == unix.EOPNOTSUPP
}

// SharesFiles reports whether two tasks share their table of descriptors, by kcmp(2) and its
// KCMP_FILES.
func SharesFiles(tid, other uint32) bool {
	const kcmpFiles = 2
	order, _, e := syscall.RawSyscall6(unix.SYS_KCMP, uintptr(tid), uintptr(other), kcmpFiles, 0, 0, 0)
	return e == 0 && order == 0
}

// Getpgid is getpgid(2).
func Getpgid(pid uint32) (uint32, unix.Errno) {
	r, _, e := syscall.RawSyscall(unix.SYS_GETPGID, uintptr(pid), 0, 0)
	return uint32(r), e
}

// Getsid is getsid(2).
func Getsid(pid uint32) (uint32, unix.Errno) {
	r, _, e := syscall.RawSyscall(unix.SYS_GETSID, uintptr(pid), 0, 0)
	return uint32(r), e
}

// Setns is setns(2). Kind is a CLONE_NEW flag, or 0 for any kind of namespace.
func Setns(fd int, kind int) unix.Errno {
	_, _, e := syscall.RawSyscall(unix.SYS_SETNS, uintptr(fd), uintptr(kind), 0)
	return e
}

// Setpriority is setpriority(2).
func Setpriority(which int, who uint32, priority int32) unix.Errno {
	_, _, e := syscall.RawSyscall(unix.SYS_SETPRIORITY, uintptr(which), uintptr(who), uintptr(priority))
	return e
}

// IoprioSet is ioprio_set(2).
func IoprioSet(which int, who uint32, priority int32) unix.Errno {
	_, _, e := syscall.RawSyscall(unix.SYS_IOPRIO_SET, uintptr(which), uintptr(who), uintptr(priority))
	return e
}

// Capabilities are the effective, permitted and inheritable capability sets of a thread:
// capabilities 0 to 31 in the first element, 32 to 63 in the second one.
type Capabilities [2]unix.CapUserData

// Capget is capget(2) for the calling thread.
func Capget(c *Capabilities) unix.Errno {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	_, _, e := syscall.RawSyscall(unix.SYS_CAPGET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(c)), 0)
	return e
}

// Capset is capset(2) for the calling thread.
func Capset(c *Capabilities) unix.Errno {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	_, _, e := syscall.RawSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(c)), 0)
	return e
}

// PidfdSendSignal is pidfd_send_signal(2): it sends sig to the process or thread that pidfd
// refers to.
func PidfdSendSignal(pidfd int, sig unix.Signal) unix.Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_PIDFD_SEND_SIGNAL, uintptr(pidfd), uintptr(sig), 0, 0, 0, 0)
	return e
}

// SignalIf sends sig to the process pid if meant returns true. Meant is called when the number cannot
// become that of another process any more. The error is ESRCH if the process has ended, or is not
// meant.
func SignalIf(pid int, sig unix.Signal, meant func() bool) unix.Errno {
	fd, _, e := syscall.RawSyscall(unix.SYS_PIDFD_OPEN, uintptr(pid), 0, 0)
	if e != 0 {
		return e
	}
	defer unix.Close(int(fd))
	if !meant() {
		return unix.ESRCH
	}
	return PidfdSendSignal(int(fd), sig)
}

// SchedYield is sched_yield(2).
func SchedYield() { syscall.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }

// SameFile reports whether two descriptors of this process refer to the same open file
// description: kcmp(2), KCMP_FILE. It is false if the kernel lacks that call.
func SameFile(a, b int) bool {
	const kcmpFile = 0 // <linux/kcmp.h>
	pid := uintptr(unix.Getpid())
	order, _, e := syscall.RawSyscall6(unix.SYS_KCMP, pid, pid, kcmpFile, uintptr(a), uintptr(b), 0)
	return e == 0 && order == 0
}

// SameMemory reports whether the processes a and b share their memory: kcmp(2) with KCMP_VM. The
// error is EPERM without permission to ptrace both, ESRCH if one of them has ended, and ENOSYS if the
// kernel has no kcmp.
func SameMemory(a, b uint32) (bool, unix.Errno) {
	const kcmpVM = 1 // <linux/kcmp.h>
	order, _, e := syscall.RawSyscall6(unix.SYS_KCMP, uintptr(a), uintptr(b), kcmpVM, 0, 0, 0)
	return e == 0 && order == 0, e
}

// OverwritesConstants returns an error unless memory that a process may only read can be written with
// /proc/PID/mem: see proc_pid_mem(5). Since Linux 6.12, the kernel's parameter
// proc_mem.force_override can limit that to debuggers, as Debian's kernels 7.3 do; the error then is
// EIO. It tries with a page of this process.
func OverwritesConstants() error {
	constant, err := unix.Mmap(-1, 0, 1, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return os.NewSyscallError("mmap", err)
	}
	defer unix.Munmap(constant)
	mem, err := unix.Open("/proc/self/mem", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /proc/self/mem: %w", err)
	}
	defer unix.Close(mem)
	if _, err := unix.Pwrite(mem, []byte{1}, int64(uintptr(unsafe.Pointer(&constant[0])))); err != nil {
		return fmt.Errorf("writing to constants with /proc/PID/mem: %w (requires the kernel's parameter proc_mem.force_override=always)", err)
	}
	return nil
}

// StatusField returns a field of the text of /proc/PID/status, except for the first one: see
// proc_pid_status(5). It is empty if there is none.
func StatusField(status []byte, name string) string {
	_, rest, _ := bytes.Cut(status, []byte("\n"+name+":\t"))
	value, _, _ := bytes.Cut(rest, []byte("\n"))
	return string(value)
}
