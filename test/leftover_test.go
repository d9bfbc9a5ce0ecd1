package test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// leftovers lists the processes, files and mounts that the tests left behind, and
// kills the processes that do not end within wait. mounts is the content of
// /proc/self/mountinfo before the tests.
func leftovers(work string, user int, mounts []byte, wait time.Duration) []string {
	var left []string
	// A supervisor ends soon after the last task of its container.
	end := time.Now().Add(wait)
	mark := workVar + "=" + work
	pids := processes(user, mark)
	for len(pids) > 0 && time.Now().Before(end) {
		time.Sleep(50 * time.Millisecond)
		pids = processes(user, mark)
	}
	for _, pid := range pids {
		left = append(left, fmt.Sprintf("process %d: %s", pid, commandLine(pid)))
		_ = unix.Kill(pid, unix.SIGKILL) // it may have ended by itself
	}
	for _, dir := range []string{"tmp", "run"} {
		files, err := filepath.Glob(filepath.Join(work, dir, "*"))
		if err != nil {
			panic(err) // a malformed pattern
		}
		for _, file := range files {
			// testscript leaves its empty directory behind if only some scripts run.
			if unix.Rmdir(file) != nil {
				left = append(left, tree(file)...)
			}
		}
	}
	now, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return append(left, err.Error())
	}
	before := mountPoints(mounts)
	for mount, line := range mountPoints(now) {
		if _, was := before[mount]; !was {
			left = append(left, "mount: "+line)
		}
	}
	return left
}

// mountPoints returns the lines of a mountinfo by what does not change while a mount is there: see
// proc_pid_mountinfo(5). A mount may vanish: another process has removed the directory.
func mountPoints(mountinfo []byte) map[string]string {
	lines := map[string]string{}
	for line := range strings.Lines(string(mountinfo)) {
		if fields := strings.Fields(line); len(fields) > 5 {
			lines[strings.Join(fields[:5], " ")] = strings.TrimSpace(line)
		}
	}
	return lines
}

// tree lists root and everything below it.
func tree(root string) (files []string) {
	_ = filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			path += ": " + err.Error()
		}
		files = append(files, path)
		return nil
	})
	return files
}

// processes lists the processes that have mark in their environment, and those of
// the user unless it is this process's own.
func processes(user int, mark string) []int {
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		panic(err) // a malformed pattern
	}
	var pids []int
	for _, dir := range entries {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || pid == os.Getpid() {
			continue
		}
		if environ, err := os.ReadFile(filepath.Join(dir, "environ")); err == nil && mark != "" {
			if bytes.HasPrefix(environ, []byte(mark+"\x00")) || bytes.Contains(environ, []byte("\x00"+mark+"\x00")) {
				pids = append(pids, pid)
				continue
			}
		}
		if user != os.Getuid() && realUID(dir) == user {
			pids = append(pids, pid)
		}
	}
	return pids
}

// realUID returns the real user id of the process whose directory in /proc is dir,
// or -1.
func realUID(dir string) int {
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return -1
	}
	_, rest, _ := bytes.Cut(status, []byte("\nUid:\t"))
	uid, _, _ := bytes.Cut(rest, []byte("\t"))
	n, err := strconv.Atoi(string(uid))
	if err != nil {
		return -1
	}
	return n
}

func commandLine(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return err.Error()
	}
	return string(bytes.ReplaceAll(bytes.TrimRight(b, "\x00"), []byte{0}, []byte{' '}))
}
