package ociruntime

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// ps executes the command ps. The runtimes find the processes of a container by its cgroup;
// without one, they are those in the namespaces of its first process.
func (r *runtime) ps(c *command) (int, error) {
	rec, ok, err := r.use(c.id)
	if err != nil {
		return statusFailed, err
	}
	if !ok || rec.Cgroups {
		return r.become(r.arguments(rec.Cgroups, c.arguments(nil, nil)...))
	}
	init, err := r.initOf(rec)
	if err != nil {
		return statusFailed, err
	}
	if init == 0 {
		return statusFailed, fmt.Errorf("ps: container %s is not running", c.id)
	}
	m, err := membersOf(init)
	if err != nil {
		return statusFailed, err
	}
	pids, err := m.list()
	if err != nil {
		return statusFailed, err
	}
	switch format := c.value("format"); format {
	case "json":
		text, err := json.Marshal(pids)
		if err == nil {
			_, err = fmt.Println(string(text))
		}
		return failed(err)
	case "", "table":
	default:
		return statusFailed, fmt.Errorf("ps: unknown format %q: use table or json", format)
	}
	if r.backend.kind == crun {
		fmt.Println("PID")
		for _, pid := range pids {
			fmt.Println(pid)
		}
		return 0, nil
	}
	return failed(printTable(pids, c.further))
}

// printTable prints the lines of ps(1) about pids. Options are those of ps(1), -ef if there
// are none.
func printTable(pids []int, options []string) error {
	if len(options) == 0 {
		options = []string{"-ef"}
	}
	out, err := exec.Command("ps", options...).Output()
	if err != nil {
		return fmt.Errorf("ps: %w", err)
	}
	header, lines, _ := strings.Cut(string(out), "\n")
	column := slices.Index(strings.Fields(header), "PID")
	if column < 0 {
		return errors.New("ps: the options print no column PID")
	}
	fmt.Println(header)
	for line := range strings.Lines(lines) {
		fields := strings.Fields(line)
		if len(fields) <= column {
			continue
		}
		if pid, err := strconv.Atoi(fields[column]); err == nil && slices.Contains(pids, pid) {
			fmt.Print(line)
		}
	}
	return nil
}

// members are the processes of a container: those in whose directory of /proc the file of this name
// is the same as file, or, if file is nil, the process init. The zero value is none.
type members struct {
	name string
	file fs.FileInfo
	init int
}

// membersOf returns the processes of the container whose first process is init: those in its
// PID namespace, or if init shares that of another container or of this process, in its mount
// namespace.
func membersOf(init int) (members, error) {
	namespace := "mnt"
	first, err := isFirst(init)
	if err != nil {
		return members{}, err
	}
	if first {
		namespace = "pid"
	}
	theirs, err := os.Stat(fmt.Sprintf("/proc/%d/ns/%s", init, namespace))
	if err != nil {
		return members{}, err
	}
	own, err := os.Stat("/proc/self/ns/" + namespace)
	if err != nil {
		return members{}, err
	}
	if os.SameFile(theirs, own) {
		return members{init: init}, nil
	}
	return members{name: "ns/" + namespace, file: theirs}, nil
}

// isFirst reports whether a process is the first one of its PID namespace: process 1 in it, by
// the last number of NSpid, proc_pid_status(5).
func isFirst(pid int) (bool, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(string(text)) {
		if numbers, ok := strings.CutPrefix(line, "NSpid:"); ok {
			fields := strings.Fields(numbers)
			return len(fields) > 1 && fields[len(fields)-1] == "1", nil
		}
	}
	return false, fmt.Errorf("/proc/%d/status has no NSpid", pid)
}

// membersIn returns the processes whose root directory is rootfs, unless it is that of this
// process: what is left of a container in the PID namespace of another one when its first process
// has ended.
func membersIn(rootfs string) (members, error) {
	theirs, err := os.Stat(rootfs)
	if errors.Is(err, fs.ErrNotExist) {
		return members{}, nil
	}
	if err != nil {
		return members{}, err
	}
	own, err := os.Stat("/")
	if err != nil || os.SameFile(theirs, own) {
		return members{}, err
	}
	return members{name: "root", file: theirs}, nil
}

// has reports whether a process belongs to the container.
func (m members) has(pid int) bool {
	if m.file == nil {
		return pid == m.init
	}
	found, err := os.Stat(fmt.Sprintf("/proc/%d/%s", pid, m.name))
	return err == nil && os.SameFile(found, m.file)
}

// list returns the processes in ascending order.
func (m members) list() ([]int, error) {
	if m == (members{}) {
		return nil, nil
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	pids := []int{}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && m.has(pid) {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, nil
}
