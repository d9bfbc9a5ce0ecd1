package target

import (
	"bytes"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// HostPID returns the supervisor's number of the thread that the task calls pid,
// which is more than 0. In one PID namespace that is pid itself, whether there is
// such a thread or not; from another one, the error is ESRCH if there is none.
func (t *Task) HostPID(pid int32) (uint32, unix.Errno) {
	if pid <= 0 {
		return 0, unix.ESRCH
	}
	own, theirs, e := t.pidNamespaces()
	if e != 0 {
		return 0, e
	}
	if theirs == own {
		return uint32(pid), 0
	}
	ns, e := openNamespace(t.TID, "pid")
	if e != 0 {
		return 0, e
	}
	host, e := sys.IoctlInt(ns, unix.NS_GET_PID_FROM_PIDNS, uintptr(pid))
	unix.Close(ns)
	if e == unix.ENOTTY { // before Linux 6.11
		return t.findPID(theirs, pid)
	}
	return uint32(host), e
}

// findPID looks for the thread whose number in the PID namespace ns is pid.
func (t *Task) findPID(ns uint64, pid int32) (uint32, unix.Errno) {
	own, err := numbers(strconv.Itoa(int(t.TID)) + "/status")
	if err != nil {
		return 0, unix.ESRCH
	}
	level := len(own) - 1 // of ns, below the supervisor's
	processes, err := t.list(".")
	if err != nil {
		return 0, unix.ESRCH
	}
	for _, process := range processes {
		found, err := numbers(process + "/status")
		if err != nil || len(found) <= level || !inside(process, len(found)-1-level, ns) {
			continue
		}
		threads, err := t.list(process + "/task")
		if err != nil {
			continue
		}
		for _, thread := range threads {
			found, err := numbers(process + "/task/" + thread + "/status")
			if err == nil && len(found) > level && found[level] == strconv.Itoa(int(pid)) {
				host, _ := strconv.ParseUint(thread, 10, 32)
				return uint32(host), 0
			}
		}
	}
	return 0, unix.ESRCH
}

// numbers returns the numbers of a thread, from the supervisor's PID namespace
// to its own. Status is the path of its file in /proc.
func numbers(status string) ([]string, error) {
	b, err := os.ReadFile(status)
	if err != nil {
		return nil, err
	}
	_, list, _ := bytes.Cut(b, []byte("\nNSpid:"))
	line, _, _ := bytes.Cut(list, []byte("\n"))
	return strings.Fields(string(line)), nil
}

// inside tells whether the PID namespace so many levels above a process's own is ns.
func inside(process string, levels int, ns uint64) bool {
	fd, err := unix.Open(process+"/ns/pid", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	for ; levels > 0; levels-- {
		parent, e := sys.IoctlInt(fd, unix.NS_GET_PARENT, 0)
		unix.Close(fd)
		if e != 0 {
			return false
		}
		fd = parent
	}
	defer unix.Close(fd)
	found, e := inode(fd, sys.Empty)
	return e == 0 && found == ns
}

// list returns the entries of a directory in the supervisor's /proc that are numbers.
func (t *Task) list(name string) ([]string, error) {
	fd, err := unix.Openat(t.proc, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	d := os.NewFile(uintptr(fd), name)
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, name := range names {
		if name[0] >= '0' && name[0] <= '9' {
			list = append(list, name)
		}
	}
	return list, nil
}
