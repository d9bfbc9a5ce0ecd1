package target

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

func TestSeenPID(t *testing.T) {
	task := enter(t)
	task.Reset(uint32(os.Getpid()))
	if got, e := task.SeenPID(7); e != 0 || got != 7 {
		t.Errorf("7 in the same namespace: %d, %v", got, e)
	}
	sibling := startSleep(t, unix.CLONE_NEWPID)
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
	for name, translate := range map[string]func(uint32) (int32, unix.Errno){
		"SeenPID": task.SeenPID,
		"seenIn":  func(n uint32) (int32, unix.Errno) { return task.seenIn(own.Ino, strconv.Itoa(int(n))) },
	} {
		for _, tt := range []struct {
			host uint32
			want int32
			err  unix.Errno
		}{
			{uint32(pid), 1, 0},
			{uint32(child), 2, 0},
			{uint32(sibling), 0, 0},
			{uint32(os.Getpid()), 0, 0},
			{1<<31 - 2, 0, unix.ESRCH},
		} {
			if got, e := translate(tt.host); e != tt.err || got != tt.want {
				t.Errorf("%s(%d) = %d, %v, want %d, %v", name, tt.host, got, e, tt.want, tt.err)
			}
		}
	}
}

func TestProcessesAndThreads(t *testing.T) {
	task := enter(t)
	pid := uint32(startSleep(t, 0))
	processes, e := task.Processes()
	if e != 0 || !slices.Contains(processes, pid) {
		t.Errorf("%d is not among the processes %v, %v", pid, processes, e)
	}
	if threads, e := task.Threads(pid); e != 0 || !slices.Equal(threads, []uint32{pid}) {
		t.Errorf("threads of %d: %v, %v", pid, threads, e)
	}
	self, thread := uint32(os.Getpid()), uint32(unix.Gettid())
	if !task.SameProcess(self, thread) || !task.SameProcess(thread, self) || task.SameProcess(self, pid) {
		t.Errorf("process %d, its thread %d, and %d", self, thread, pid)
	}
	if pgid, _, e := GroupOf(pid); e != 0 || pgid != pid {
		t.Errorf("group of %d: %d, %v", pid, pgid, e)
	}
}

func TestPidfdPID(t *testing.T) {
	task := enter(t)
	task.Reset(uint32(os.Getpid()))
	pid := startSleep(t, 0)
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if got, e := task.PidfdPID(int32(fd)); e != 0 || got != uint32(pid) {
		t.Errorf("pidfd of %d: %d, %v", pid, got, e)
	}
	if _, e := task.PidfdPID(1 << 20); e != unix.EBADF {
		t.Errorf("closed: %v", e)
	}
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if _, e := task.PidfdPID(int32(null.Fd())); e != unix.EBADF {
		t.Errorf("not a pidfd: %v", e)
	}
}

func TestProcTask(t *testing.T) {
	task := enter(t)
	task.Reset(uint32(os.Getpid()))
	pid := uint32(startSleep(t, 0))
	thread := fmt.Sprintf("/proc/%d/task/%d", os.Getpid(), unix.Gettid())
	for path, want := range map[string]uint32{
		fmt.Sprintf("/proc/%d", pid):         pid,
		fmt.Sprintf("/proc/%d/status", pid):  pid,
		fmt.Sprintf("/proc/%d/fd", pid):      pid,
		fmt.Sprintf("/proc/%d/exe", pid):     pid,
		fmt.Sprintf("/proc/%d/net", pid):     pid,
		fmt.Sprintf("/proc/%d/net/dev", pid): 0,
		fmt.Sprintf("/proc/%d/task", pid):    pid,
		thread:                               uint32(unix.Gettid()),
		thread + "/stat":                     uint32(unix.Gettid()),
		"/proc":                              0,
		"/proc/sys/kernel/pid_max":           0,
		"/proc/irq":                          0,
		"/dev/null":                          0,
	} {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		var st unix.Stat_t
		if e := sys.Fstat(fd, &st); e != 0 {
			t.Fatal(e)
		}
		got, e := task.ProcTask(fd, &st)
		unix.Close(fd)
		if want == 0 && e != unix.ESRCH || want != 0 && (e != 0 || got != want) {
			t.Errorf("%s describes %d, %v, want %d", path, got, e, want)
		}
	}
}

// A task may look at a procfs of another PID namespace than its own.
func TestProcTaskOfAnotherNamespace(t *testing.T) {
	dir := t.TempDir()
	task := enter(t) // the thread, and its mount namespace, end with the test
	task.Reset(uint32(os.Getpid()))
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", `mount -t proc proc "$0" || exit; sleep 600 & echo $!; wait`, dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = unix.Unmount(dir, unix.MNT_DETACH) // before the directory is removed
		_ = cmd.Process.Kill()                 // the end of a namespace's init kills the others
		_ = cmd.Wait()
	}()
	var child int
	if _, err := fmt.Fscan(out, &child); err != nil {
		t.Fatal(err)
	}
	for pid, want := range map[int]string{1: strconv.Itoa(cmd.Process.Pid), child: children(t, cmd.Process.Pid)[0]} {
		fd, err := unix.Open(fmt.Sprintf("%s/%d/status", dir, pid), unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		var st unix.Stat_t
		if e := sys.Fstat(fd, &st); e != 0 {
			t.Fatal(e)
		}
		got, e := task.ProcTask(fd, &st)
		unix.Close(fd)
		if e != 0 || strconv.Itoa(int(got)) != want {
			t.Errorf("process %d is %d, %v, want %s", pid, got, e, want)
		}
	}
}
