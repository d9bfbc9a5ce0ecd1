package target

import (
	"bytes"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// HostPID translates the thread id pid from the task's PID namespace to the supervisor's:
// see pid_namespaces(7). If both are the same namespace, it returns pid without checking
// that the thread exists. Otherwise the error is ESRCH if it does not. ESRCH also
// answers a pid that is not positive; ENOENT means that the task itself is gone.
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
	defer unix.Close(ns)
	return t.pidFrom(ns, pid)
}

// pidFrom translates the thread id pid from the PID namespace ns, a descriptor, to the
// supervisor's. The error is ESRCH if there is no such thread.
func (t *Task) pidFrom(ns int, pid int32) (uint32, unix.Errno) {
	host, e := sys.IoctlInt(ns, unix.NS_GET_PID_FROM_PIDNS, uintptr(pid))
	if e != unix.ENOTTY {
		return uint32(host), e
	}
	inode, e := inodeNumber(ns, sys.Empty) // before Linux 6.11
	if e != 0 {
		return 0, e
	}
	return t.findPID(inode, pid)
}

// findPID is pidFrom for kernels without NS_GET_PID_FROM_PIDNS: it searches /proc for the
// thread whose id is pid in the PID namespace with the inode number ns.
func (t *Task) findPID(ns uint64, pid int32) (uint32, unix.Errno) {
	processes, err := t.listNumbers(".")
	if err != nil {
		return 0, unix.ESRCH
	}
	for _, process := range processes {
		found, err := nsPIDs(process + "/status")
		if err != nil {
			continue
		}
		level := levelOf(ns, process, found)
		if level < 0 {
			continue
		}
		threads, err := t.listNumbers(process + "/task")
		if err != nil {
			continue
		}
		for _, thread := range threads {
			found, err := nsPIDs(process + "/task/" + thread + "/status")
			if err == nil && len(found) > level && found[level] == strconv.Itoa(int(pid)) {
				host, _ := strconv.ParseUint(thread, 10, 32)
				return uint32(host), 0
			}
		}
	}
	return 0, unix.ESRCH
}

// nsPIDs returns the ids of a thread in each PID namespace from the supervisor's down to
// its own, the NSpid of proc_pid_status(5). Status is the path of its status file.
func nsPIDs(status string) ([]string, error) {
	b, err := os.ReadFile(status)
	if err != nil {
		return nil, err
	}
	_, list, _ := bytes.Cut(b, []byte("\nNSpid:"))
	line, _, _ := bytes.Cut(list, []byte("\n"))
	return strings.Fields(string(line)), nil
}

// levelOf returns how far the PID namespace with the inode number ns is below the supervisor's,
// or -1 if the process is not in it, nor below it. Process is the process's directory in /proc,
// and ids are those that nsPIDs returns for it.
func levelOf(ns uint64, process string, ids []string) int {
	fd, err := unix.Open(process+"/ns/pid", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	for level := len(ids) - 1; level >= 0; level-- {
		found, e := inodeNumber(fd, sys.Empty)
		if e == 0 && found == ns {
			unix.Close(fd)
			return level
		}
		// EPERM above the supervisor's own namespace: ioctl_nsfs(2).
		parent, e := sys.IoctlInt(fd, unix.NS_GET_PARENT, 0)
		unix.Close(fd)
		if e != 0 {
			return -1
		}
		fd = parent
	}
	unix.Close(fd)
	return -1
}

// listNumbers returns the entries of the directory name, in the supervisor's /proc, that
// start with a digit.
func (t *Task) listNumbers(name string) ([]string, error) {
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
