package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/test/forked"
)

// The names, argv[0], of the processes of supervisors and agents.
const (
	keeperName  = "subuidless-keeper"
	workerName  = "subuidless-worker"
	standbyName = "subuidless-standby"
	deputyName  = "subuidless-deputy"
)

// adopt makes this process the parent of its descendants whose own parents end, so that all are
// found.
func adopt() error {
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
}

// process is a descendant of this process.
type process struct {
	pid     int
	parents []int // up to this process
	args    []string
}

// processes lists the descendants of this process. It reaps those that it has adopted, and that
// have ended; others wait for the processes in own.
func processes(own ...int) (all []process) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		panic(err) // a malformed pattern
	}
	parents := map[int]int{}
	for _, dir := range dirs {
		status, err := os.ReadFile(filepath.Join(dir, "status"))
		pid, e := strconv.Atoi(filepath.Base(dir))
		if err != nil || e != nil {
			continue // it has ended
		}
		parents[pid] = number(status, "PPid")
		if bytes.Contains(status, []byte("\nState:\tZ")) && parents[pid] == os.Getpid() && len(own) > 0 && !slices.Contains(own, pid) {
			_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
		}
	}
	for pid := range parents {
		p := process{pid: pid}
		for at := parents[pid]; at != 0; at = parents[at] {
			p.parents = append(p.parents, at)
			if at == os.Getpid() {
				break
			}
		}
		if len(p.parents) == 0 || p.parents[len(p.parents)-1] != os.Getpid() {
			continue
		}
		args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil || len(args) == 0 {
			continue // it has ended
		}
		p.args = strings.Split(strings.TrimSuffix(string(args), "\x00"), "\x00")
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b process) int { return a.pid - b.pid })
	return all
}

// killAll kills all descendants of this process.
func killAll() {
	for range 100 { // they may be starting others
		all := processes()
		if len(all) == 0 {
			return
		}
		for _, p := range all {
			_ = unix.Kill(p.pid, unix.SIGKILL) // it may have ended by itself
		}
	}
}

// number returns the first number of a line of /proc/PID/status or a file of that form; 0 if there
// is none.
func number(text []byte, key string) int {
	_, rest, _ := bytes.Cut(text, []byte("\n"+key+":"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(string(fields[0]))
	return n
}

// childrenFirst sorts processes so that none comes after its parent.
func childrenFirst(pids []int) []int {
	depth := map[int]int{}
	for _, p := range processes() {
		depth[p.pid] = len(p.parents)
	}
	slices.SortStableFunc(pids, func(a, b int) int { return depth[b] - depth[a] })
	return pids
}

// find returns the processes of a supervisor: those of that name with the container's id.
func find(name, id string) (pids []int) {
	for _, p := range processes() {
		if slices.Equal(p.args, []string{name, id}) && forked.HasExecuted(p.pid) {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

// awaitEnd waits until processes have ended.
func awaitEnd(pids []int) error {
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		left := slices.DeleteFunc(processes(), func(p process) bool { return !slices.Contains(pids, p.pid) })
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("process %d does not end: %v", left[0].pid, left[0].args)
		}
	}
}

// holdsListener reports whether a process holds the listener of a filter.
func holdsListener(pid int) bool {
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		panic(err) // a malformed pattern
	}
	return slices.ContainsFunc(fds, func(fd string) bool {
		file, err := os.Readlink(fd)
		return err == nil && file == "anon_inode:seccomp notify"
	})
}

// below returns the descendants of another process for which wanted is true.
func below(ancestor int, wanted func(args []string) bool) (pids []int) {
	for _, p := range processes() {
		if slices.Contains(p.parents, ancestor) && wanted(p.args) {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

// isTask reports whether these are the arguments of a task that may be killed; isJob, of a process
// that checks.
func isTask(args []string) bool { return args[0] == taskName }

func isJob(args []string) bool { return len(args) > 1 && (args[1] == "job" || args[1] == "user") }

// describeTasks lists the descendants of this process, with what they wait for.
func describeTasks() string {
	var b strings.Builder
	for _, p := range processes() {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*", p.pid))
		if err != nil {
			panic(err) // a malformed pattern
		}
		fmt.Fprintf(&b, "%d (child of %d): %s\n", p.pid, p.parents[0], strings.Join(p.args, " "))
		for _, task := range tasks {
			status, _ := os.ReadFile(filepath.Join(task, "status"))
			_, state, _ := bytes.Cut(status, []byte("\nState:\t"))
			state, _, _ = bytes.Cut(state, []byte("\n"))
			channel, _ := os.ReadFile(filepath.Join(task, "wchan"))
			call, _ := os.ReadFile(filepath.Join(task, "syscall"))
			fmt.Fprintf(&b, "\t%s: %s, in %s, %s\n", filepath.Base(task), state, channel, bytes.TrimSpace(call))
		}
	}
	return b.String()
}
