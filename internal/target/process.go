package target

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// SeenPID translates the thread id host from the supervisor's PID namespace to the
// task's: see pid_namespaces(7). It is 0 if the thread is not visible there. The error is
// ESRCH if there is no such thread, and ENOENT if the task itself is gone.
func (t *Task) SeenPID(host uint32) (int32, unix.Errno) {
	own, theirs, e := t.pidNamespaces()
	if e != 0 {
		return 0, e
	}
	if theirs == own {
		return int32(host), 0
	}
	ns, e := openNamespace(t.TID, "pid")
	if e != 0 {
		return 0, e
	}
	defer unix.Close(ns)
	seen, e := sys.IoctlInt(ns, unix.NS_GET_PID_IN_PIDNS, uintptr(host))
	switch e {
	case 0:
		return int32(seen), 0
	case unix.ENOTTY: // before Linux 6.11
		return t.seenIn(theirs, strconv.Itoa(int(host)))
	}
	// ESRCH means that there is no such thread, or that it is not in the namespace.
	if !t.Exists(host) {
		return 0, unix.ESRCH
	}
	return 0, 0
}

// seenIn is SeenPID for kernels without NS_GET_PID_IN_PIDNS. Ns is the inode number of
// the task's PID namespace, dir the thread's directory in the supervisor's /proc.
func (t *Task) seenIn(ns uint64, dir string) (int32, unix.Errno) {
	found, err := nsPIDs(dir + "/status")
	if err != nil {
		return 0, unix.ESRCH
	}
	level := levelOf(ns, dir, found)
	if level < 0 {
		return 0, 0
	}
	seen, err := strconv.ParseInt(found[level], 10, 32)
	if err != nil {
		return 0, unix.ESRCH
	}
	return int32(seen), 0
}

// SameProcess reports whether a and b, thread ids in the supervisor's PID namespace, are
// threads of the same process.
func (t *Task) SameProcess(a, b uint32) bool {
	if a == b {
		return true
	}
	var p [prefixRoom]byte
	path := append(strconv.AppendUint(p[:0], uint64(a), 10), "/task/"...)
	_ = append(strconv.AppendUint(path, uint64(b), 10), 0)
	var st unix.Statx_t
	return sys.Statx(unix.AT_FDCWD, &p[0], 0, 0, &st) == 0
}

// Exists reports whether there is a thread tid in the supervisor's PID namespace. A
// zombie counts.
func (t *Task) Exists(tid uint32) bool {
	var b [prefixRoom]byte
	_ = append(strconv.AppendUint(b[:0], uint64(tid), 10), 0)
	var st unix.Statx_t
	return sys.Statx(unix.AT_FDCWD, &b[0], 0, 0, &st) == 0
}

// Processes returns the ids of all processes in the supervisor's PID namespace, those
// outside of the container included. The error is ESRCH if /proc cannot be read.
func (t *Task) Processes() ([]uint32, unix.Errno) { return t.listTasks(".") }

// Threads returns the ids of the threads of the process pid, all in the supervisor's PID
// namespace. The error is ESRCH if there is no such process.
func (t *Task) Threads(pid uint32) ([]uint32, unix.Errno) {
	return t.listTasks(strconv.Itoa(int(pid)) + "/task")
}

// listTasks returns the entries of dir, in the supervisor's /proc, that are ids.
func (t *Task) listTasks(dir string) ([]uint32, unix.Errno) {
	names, err := t.listNumbers(dir)
	if err != nil {
		return nil, unix.ESRCH
	}
	ids := make([]uint32, 0, len(names))
	for _, name := range names {
		if id, err := strconv.ParseUint(name, 10, 32); err == nil {
			ids = append(ids, uint32(id))
		}
	}
	return ids, 0
}

// GroupOf returns the process group and the session of the process pid, all in the
// supervisor's PID namespace. The error is ESRCH if there is no such process.
func GroupOf(pid uint32) (pgid, sid uint32, e unix.Errno) {
	if pgid, e = sys.Getpgid(pid); e != 0 {
		return 0, 0, e
	}
	sid, e = sys.Getsid(pid)
	return pgid, sid, e
}

// HostGroup translates the process group pgid from the task's PID namespace to the
// supervisor's, even if the group's leader has ended. The error is ESRCH if there is no
// such group.
func (t *Task) HostGroup(pgid int32) (uint32, unix.Errno) {
	if host, e := t.HostPID(pgid); e == 0 {
		return host, 0
	}
	processes, e := t.Processes()
	if e != 0 {
		return 0, e
	}
	for _, pid := range processes {
		group, _, e := GroupOf(pid)
		if e != 0 {
			continue
		}
		// A member in the task's PID namespace shows the group's id in that namespace.
		if t.sharesNamespace(pid, "pid") && lastNumber(pid, "NSpgid") == pgid {
			return group, 0
		}
	}
	return 0, unix.ESRCH
}

// lastNumber returns the last number in a field of /proc/PID/status, or 0 if there is none.
func lastNumber(pid uint32, name string) int32 {
	status, err := os.ReadFile(strconv.Itoa(int(pid)) + "/status")
	if err != nil {
		return 0
	}
	fields := strings.Fields(sys.StatusField(status, name))
	if len(fields) == 0 {
		return 0
	}
	n, err := strconv.ParseInt(fields[len(fields)-1], 10, 32)
	if err != nil {
		return 0
	}
	return int32(n)
}

// PidfdPID returns the process, or thread, that the task's pidfd fd refers to, as an id
// in the supervisor's PID namespace: see pidfd_open(2). The error is EBADF if fd is not a
// pidfd, and ESRCH if the process has ended.
func (t *Task) PidfdPID(fd int32) (uint32, unix.Errno) {
	var name [prefixRoom]byte
	_ = append(strconv.AppendInt(append(t.appendTID(name[:0]), "fdinfo/"...), int64(fd), 10), 0)
	var b [maxStatus]byte
	// pidfd_open(2) refers to clone(2) for the line: "Pid: [...] -1 if the process has
	// terminated".
	info, e := readProc(&name[0], &b)
	if e != 0 && e != unix.ENOENT {
		return 0, e
	}
	value, ok := valueOf(info, "Pid")
	if !ok {
		return 0, unix.EBADF
	}
	pid, err := strconv.ParseInt(string(value), 10, 32)
	if err != nil || pid <= 0 {
		return 0, unix.ESRCH
	}
	return uint32(pid), 0
}
