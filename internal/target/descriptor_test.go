package target

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

func TestDescriptors(t *testing.T) {
	s := startTask(t)
	task := enter(t)
	task.Reset(uint32(s.pid))
	for _, tt := range []struct {
		name   string
		fd     int32
		want   string // the file; "" if the descriptor is not open
		asPath bool
	}{
		{"standard output", 1, "out", false},
		{"for reading", taskFile, "file", false},
		{"for writing", taskWrite, "sub/inner", false},
		{"O_PATH of a directory", taskSub, "sub", true},
		{"O_PATH of a link", taskLink, "link", true},
		{"not open", taskNone, "", false},
		{"-1", -1, "", false},
		{"AT_FDCWD", unix.AT_FDCWD, "", false},
		{"the largest", 1<<31 - 1, "", false},
	} {
		asPath, e := task.OpenedAsPath(tt.fd)
		if (e == unix.EBADF) != (tt.want == "") || asPath != tt.asPath {
			t.Errorf("OpenedAsPath, %s: %v, %v", tt.name, asPath, e)
		}
		var st unix.Stat_t
		fd, e := task.OpenFD(tt.fd, &st)
		if tt.want == "" || tt.asPath { // as in fchown(2)
			if e != unix.EBADF {
				t.Errorf("OpenFD, %s: %v, want EBADF", tt.name, e)
			}
		} else if e != 0 || ([2]uint64{st.Dev, st.Ino}) != s.id(tt.want) {
			t.Errorf("OpenFD, %s: %v, want %s", tt.name, e, tt.want)
		}
		if e == 0 {
			unix.Close(fd)
		}
		for name, dup := range map[string]func(int32) (int, unix.Errno){"Dup": task.Dup, "dupOfProcess": task.dupOfProcess} {
			fd, e := dup(tt.fd)
			if tt.want == "" {
				if e != unix.EBADF {
					t.Errorf("%s, %s: %v, want EBADF", name, tt.name, e)
				}
				continue
			}
			if e != 0 {
				t.Errorf("%s, %s: %v", name, tt.name, e)
				continue
			}
			if e := sys.Fstat(fd, &st); e != 0 || ([2]uint64{st.Dev, st.Ino}) != s.id(tt.want) {
				t.Errorf("%s, %s: %v, want %s", name, tt.name, e, tt.want)
			}
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("%s, %s: not close-on-exec", name, tt.name)
			}
			unix.Close(fd)
		}
	}
}

// Without pidfds of threads, only descriptors that a thread shares with its process are known.
func TestDupOfThread(t *testing.T) {
	task := enter(t)
	for _, shares := range []bool{true, false} {
		tid, done := make(chan int), make(chan struct{})
		go func() {
			runtime.LockOSThread() // the thread ends with the goroutine
			if !shares {
				if err := unix.Unshare(unix.CLONE_FILES); err != nil {
					t.Error(err)
				}
			}
			tid <- unix.Gettid()
			<-done
		}()
		task.Reset(uint32(<-tid))
		fd, e := task.dupOfProcess(0)
		close(done)
		if e == 0 {
			unix.Close(fd)
		}
		if (e == 0) != shares || e != 0 && e != unix.ENOSYS {
			t.Errorf("a thread that shares descriptors: %v: %v", shares, e)
		}
	}
}

// The kernel reuses thread ids: a pidfd of a process that has ended must not be used for
// its successor.
func TestDupAfterTheTaskHasChanged(t *testing.T) {
	first, second := startTask(t), startTask(t)
	task := enter(t)
	dup := func(s *subject) {
		t.Helper()
		task.Reset(uint32(s.pid))
		fd, e := task.Dup(taskFile)
		var st unix.Stat_t
		if e != 0 || sys.Fstat(fd, &st) != 0 || ([2]uint64{st.Dev, st.Ino}) != s.id("file") {
			t.Errorf("%v, want the task's file", e)
		}
		unix.Close(fd)
	}
	dup(first)
	dup(second)
	dup(second)
	dup(first)
	if err := unix.Kill(first.pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PID, first.pid, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	task.pidfdTID = uint32(second.pid) // as if it had the id of the first
	dup(second)
}

// A signal, too, must reach the task that has the id now.
func TestSignalAfterTheTaskHasChanged(t *testing.T) {
	first, second := startTask(t), startTask(t)
	task := enter(t)
	task.Reset(uint32(first.pid))
	if _, e := task.Dup(taskFile); e != 0 {
		t.Fatal(e)
	}
	if task.pidfd < 0 {
		t.Skip("needs Linux 6.9 (PIDFD_THREAD)")
	}
	if err := unix.Kill(first.pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Wait4(first.pid, nil, 0, nil); err != nil { // a zombie gets signals, and keeps its id
		t.Fatal(err)
	}
	task.Reset(uint32(second.pid))
	task.pidfdTID = uint32(second.pid) // as if it had the id of the first
	task.Signal(unix.SIGKILL)
	var info unix.Siginfo
	done := make(chan error, 1)
	go func() { done <- unix.Waitid(unix.P_PID, second.pid, &info, unix.WEXITED|unix.WNOWAIT, nil) }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("the signal has not reached the task")
	}
}

// Before Linux 6.9, a signal reaches a task by its process, unless another thread could handle it.
func TestSignalProcess(t *testing.T) {
	threads := startTask(t)
	alone := exec.Command("cat")
	stdin, err := alone.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := alone.Start(); err != nil {
		t.Fatal(err)
	}
	task := enter(t)
	for _, pid := range []int{threads.pid, alone.Process.Pid} {
		task.Reset(uint32(pid))
		task.signalProcess(unix.SIGKILL)
	}
	stdin.Close()
	_ = alone.Wait()
	if status := alone.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != unix.SIGKILL {
		t.Errorf("the process with one thread: status %#x", status)
	}
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PID, threads.pid, &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil); err != nil || info.Signo != 0 {
		t.Errorf("the process with several has ended: %v", err)
	}
}

// The supervisor must not leak descriptors, however many calls it handles.
func TestNoDescriptorsAreKept(t *testing.T) {
	s := startTask(t)
	task := enter(t)
	count := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	round := func() {
		task.Reset(uint32(s.pid))
		for _, path := range []string{"file", "none", "loop", "toout", "selfloop", "file/", "tofds/1", "/proc/self/fd/1/x", "/dev/stdout/"} {
			_, _ = resolve(task, cwd, s.put(path), 0)
		}
		_, _ = resolve(task, cwd, s.put(padded("file", 4095)), 0)
		_, _ = resolve(task, taskNone, s.put("x"), 0)
		for _, fd := range []int32{1, taskSub, taskNone} {
			var st unix.Stat_t
			if got, e := task.OpenFD(fd, &st); e == 0 {
				unix.Close(got)
			}
			if got, e := task.Dup(fd); e == 0 {
				unix.Close(got)
			}
		}
		task.Reset(uint32(s.pid))
	}
	round() // opens the pidfd
	before := count()
	for range 20 {
		round()
	}
	if after := count(); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func TestUninspectable(t *testing.T) {
	s := startTask(t)
	task := enter(t)
	task.Reset(uint32(s.pid))
	if task.Uninspectable() {
		t.Error("a task of the container is uninspectable")
	}
	task.Reset(uint32(os.Getppid())) // in the parent user namespace
	if os.Getppid() != 0 && !task.Uninspectable() {
		t.Error("a process of the parent user namespace is inspectable")
	}
	task.Reset(1 << 30)
	if task.Uninspectable() {
		t.Error("a task that is gone is uninspectable")
	}
}

// After AdoptRoot the receiver still resolves the task's paths: it is back in /proc.
func TestAdoptRoot(t *testing.T) {
	s := startTask(t)
	task := enter(t)
	task.Reset(uint32(s.pid))
	for range 2 {
		if e := task.AdoptRoot(); e != 0 {
			t.Fatal(e)
		}
		if got, e := resolve(task, cwd, s.put("file"), 0); e != 0 || got != s.id("file") {
			t.Errorf("relative path: %v", e)
		}
	}
	task.Reset(1 << 30)
	if e := task.AdoptRoot(); e != unix.ENOENT {
		t.Errorf("of no task: %v, want ENOENT", e)
	}
	task.Reset(uint32(s.pid))
	if got, e := resolve(task, cwd, s.put("file"), 0); e != 0 || got != s.id("file") {
		t.Errorf("afterwards: %v", e)
	}
}
