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
	pids, err := processesOf(init)
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

// processesOf returns the processes of the container whose first process is init: those in its
// PID namespace, or if init shares that of another container or of this process, in its mount
// namespace.
func processesOf(init int) ([]int, error) {
	namespace := "mnt"
	first, err := isFirst(init)
	if err != nil {
		return nil, err
	}
	if first {
		namespace = "pid"
	}
	theirs, err := os.Stat(fmt.Sprintf("/proc/%d/ns/%s", init, namespace))
	if err != nil {
		return nil, err
	}
	own, err := os.Stat("/proc/self/ns/" + namespace)
	if err != nil {
		return nil, err
	}
	if os.SameFile(theirs, own) {
		return []int{init}, nil
	}
	return processesWith("ns/"+namespace, theirs)
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

// processesIn returns the processes whose root directory is rootfs, unless it is that of this
// process: what is left of a container in the PID namespace of another one when its first process
// has ended.
func processesIn(rootfs string) ([]int, error) {
	theirs, err := os.Stat(rootfs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	own, err := os.Stat("/")
	if err != nil || os.SameFile(theirs, own) {
		return nil, err
	}
	return processesWith("root", theirs)
}

// processesWith returns the processes in whose directory of /proc the given file is the same as
// file, in ascending order.
func processesWith(name string, file fs.FileInfo) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	pids := []int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if found, err := os.Stat(fmt.Sprintf("/proc/%d/%s", pid, name)); err == nil && os.SameFile(found, file) {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, nil
}
