package ociruntime

import (
	"encoding/json"
	"errors"
	"fmt"
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

// processesOf returns the processes in the PID namespace of init, or if it shares that of this
// process, in its mount namespace.
func processesOf(init int) ([]int, error) {
	for _, namespace := range []string{"pid", "mnt"} {
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", init, namespace))
		if err != nil {
			return nil, err
		}
		own, err := os.Readlink("/proc/self/ns/" + namespace)
		if err != nil {
			return nil, err
		}
		if theirs == own {
			continue
		}
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
			if found, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, namespace)); err == nil && found == theirs {
				pids = append(pids, pid)
			}
		}
		slices.Sort(pids)
		return pids, nil
	}
	return []int{init}, nil
}
