package target

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// SeenPID returns what the task calls the thread that the supervisor calls host:
// 0 if that is in no PID namespace that the task sees. The error is ESRCH if
// there is no such thread.
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
	// ESRCH says that there is no such thread, or that it is none of the namespace.
	if !t.Exists(host) {
		return 0, unix.ESRCH
	}
	return 0, 0
}

// seenIn returns the number in the PID namespace ns, which is the task's, of the
// thread whose directory in the supervisor's /proc is dir.
func (t *Task) seenIn(ns uint64, dir string) (int32, unix.Errno) {
	own, err := numbers(strconv.Itoa(int(t.TID)) + "/status")
	if err != nil {
		return 0, unix.ESRCH
	}
	level := len(own) - 1 // of ns, below the supervisor's
	found, err := numbers(dir + "/status")
	if err != nil {
		return 0, unix.ESRCH
	}
	if len(found) <= level || !inside(dir, len(found)-1-level, ns) {
		return 0, 0
	}
	seen, err := strconv.ParseInt(found[level], 10, 32)
	if err != nil {
		return 0, unix.ESRCH
	}
	return int32(seen), 0
}

// SameProcess tells whether the threads a and b, as the supervisor calls them,
// are of one process.
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

// Exists tells whether there is a thread that the supervisor calls tid.
func (t *Task) Exists(tid uint32) bool {
	var b [prefixRoom]byte
	_ = append(strconv.AppendUint(b[:0], uint64(tid), 10), 0)
	var st unix.Statx_t
	return sys.Statx(unix.AT_FDCWD, &b[0], 0, 0, &st) == 0
}

// Processes lists the processes of the machine, as the supervisor calls them.
func (t *Task) Processes() ([]uint32, unix.Errno) { return t.listIDs(".") }

// Threads lists the threads of a process, as the supervisor calls them.
func (t *Task) Threads(pid uint32) ([]uint32, unix.Errno) {
	return t.listIDs(strconv.Itoa(int(pid)) + "/task")
}

func (t *Task) listIDs(dir string) ([]uint32, unix.Errno) {
	names, err := t.list(dir)
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

// GroupOf returns the process group and the session of a process, all as the
// supervisor calls them.
func GroupOf(pid uint32) (pgid, sid uint32, e unix.Errno) {
	if pgid, e = sys.Getpgid(pid); e != 0 {
		return 0, 0, e
	}
	sid, e = sys.Getsid(pid)
	return pgid, sid, e
}

// HostGroup returns the supervisor's number of the process group that the task
// calls pgid. The group's leader may have ended. The error is ESRCH if there is
// no such group.
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
		// A member of the same PID namespace shows how it calls its group.
		if t.sharesNamespace(pid, "pid") && lastNumber(pid, "\nNSpgid:") == pgid {
			return group, 0
		}
	}
	return 0, unix.ESRCH
}

// lastNumber returns the last number of a line of /proc/PID/status, or 0.
func lastNumber(pid uint32, name string) int32 {
	status, err := os.ReadFile(strconv.Itoa(int(pid)) + "/status")
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(status, []byte(name))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) == 0 {
		return 0
	}
	n, err := strconv.ParseInt(string(fields[len(fields)-1]), 10, 32)
	if err != nil {
		return 0
	}
	return int32(n)
}

// PidfdPID returns the supervisor's number of the process, or of the thread, that
// the task's descriptor fd is a pidfd of: EBADF if it is none, and ESRCH if the
// process has ended.
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
