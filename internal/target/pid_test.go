package target

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// startSleep starts a shell with a child that sleeps, and returns the pid of the shell.
// Flags are those of clone(2).
func startSleep(t *testing.T, flags uintptr) int {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", "sleep 600 & echo $!; wait")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
		_ = cmd.Wait()
	})
	var child int
	if _, err := fmt.Fscan(out, &child); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

func children(t *testing.T, pid int) []string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(b))
}

func TestHostPID(t *testing.T) {
	task := enter(t)
	// In the supervisor's own PID namespace.
	task.Reset(uint32(os.Getpid()))
	for _, pid := range []int32{1, 7, 1<<31 - 1} {
		if got, e := task.HostPID(pid); e != 0 || got != uint32(pid) {
			t.Errorf("%d in the same namespace: %d, %v", pid, got, e)
		}
	}
	// In a child namespace, while the same ids exist in another child namespace.
	startSleep(t, unix.CLONE_NEWPID)
	pid := startSleep(t, unix.CLONE_NEWPID)
	task.Reset(uint32(pid))
	child, err := strconv.Atoi(children(t, pid)[0])
	if err != nil {
		t.Fatal(err)
	}
	var own unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/ns/pid", pid), &own); err != nil {
		t.Fatal(err)
	}
	for name, translate := range map[string]func(int32) (uint32, unix.Errno){
		"HostPID": task.HostPID,
		"findPID": func(n int32) (uint32, unix.Errno) { return task.findPID(own.Ino, n) },
	} {
		for _, tt := range []struct {
			pid  int32
			want uint32
			err  unix.Errno
		}{
			{1, uint32(pid), 0},
			{2, uint32(child), 0},
			{3, 0, unix.ESRCH},
			{0, 0, unix.ESRCH},
			{-1, 0, unix.ESRCH},
			{1<<31 - 1, 0, unix.ESRCH},
		} {
			if got, e := translate(tt.pid); e != tt.err || e == 0 && got != tt.want {
				t.Errorf("%s(%d) = %d, %v, want %d, %v", name, tt.pid, got, e, tt.want, tt.err)
			}
		}
	}
	task.Reset(1 << 30)
	if _, e := task.HostPID(1); e != unix.ENOENT {
		t.Errorf("of no task: %v, want ENOENT", e)
	}
}

// A process may be in a PID namespace below the task's.
func TestFindPIDInANamespaceBelow(t *testing.T) {
	if _, err := exec.LookPath("unshare"); err != nil {
		t.Skip("needs unshare(1)")
	}
	task := enter(t)
	cmd := exec.Command("unshare", "--pid", "--fork", "sh", "-c", "echo ready; exec sleep 600")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // the end of a namespace's init kills the others
		_ = cmd.Wait()
	})
	var ready string
	if _, err := fmt.Fscan(out, &ready); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	task.Reset(uint32(pid))
	want := children(t, pid)[0]
	var own unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/ns/pid", pid), &own); err != nil {
		t.Fatal(err)
	}
	list, err := nsPIDs(want + "/status")
	if err != nil || len(list) != 3 {
		t.Fatalf("the ids of the process are %v, %v", list, err)
	}
	n, err := strconv.Atoi(list[1])
	if err != nil {
		t.Fatal(err)
	}
	if got, e := task.findPID(own.Ino, int32(n)); e != 0 || strconv.Itoa(int(got)) != want {
		t.Errorf("findPID = %d, %v, want %s", got, e, want)
	}
	if got, e := task.HostPID(int32(n)); e != 0 || strconv.Itoa(int(got)) != want {
		t.Errorf("HostPID = %d, %v, want %s", got, e, want)
	}
}
