package unotify_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/filter"
	"github.com/rootless-containers/subuidless/internal/syscalls"
	"github.com/rootless-containers/subuidless/internal/unotify"
)

// taskMode is the environment variable that makes the test binary the task to which a
// filter applies.
const taskMode = "UNOTIFY_TEST_TASK"

func TestMain(m *testing.M) {
	if os.Getenv(taskMode) != "" {
		task()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// task installs the filter, and prints the listener's descriptor and the error of a
// second attempt. Then it calls fchownat for each line of its input, a path and an
// owner, and prints the result.
func task() {
	runtime.LockOSThread()
	// Nobody answers notifications yet when it installs the second filter.
	rows := slices.DeleteFunc(slices.Clone(syscalls.Rows()), func(r syscalls.Row) bool { return r.Name == "seccomp" })
	prog, err := filter.Compile(runtime.GOARCH, rows)
	if err != nil {
		panic(err)
	}
	listener, err := unotify.Install(prog)
	fmt.Println(listener, err)
	_, err = unotify.Install(prog)
	fmt.Println(err == unotify.ErrBusy)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		path, id, _ := strings.Cut(in.Text(), " ")
		p, _ := unix.BytePtrFromString(path)
		n, _ := strconv.ParseUint(id, 10, 32)
		r, _, e := unix.Syscall6(unix.SYS_FCHOWNAT, ^uintptr(99), uintptr(unsafe.Pointer(p)), uintptr(n), uintptr(n), 0, 0)
		fmt.Println(int64(r), uint(e))
	}
}

// supervised is a task with a listener, in its own user namespace.
type supervised struct {
	t        *testing.T
	cmd      *exec.Cmd
	in       io.WriteCloser
	out      *bufio.Reader
	listener int
}

func start(t *testing.T) *supervised {
	t.Helper()
	s := &supervised{t: t, cmd: exec.Command("/proc/self/exe")}
	s.cmd.Env = append(os.Environ(), taskMode+"=1")
	s.cmd.Stderr = os.Stderr
	s.cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	in, err := s.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	})
	s.in, s.out = in, bufio.NewReader(out)
	number, failure, _ := strings.Cut(s.line(), " ")
	if failure != "<nil>" {
		t.Fatalf("Install: %s", failure)
	}
	if busy := s.line(); busy != "true" {
		t.Error("a second Install does not fail with ErrBusy")
	}
	pidfd, err := unix.PidfdOpen(s.cmd.Process.Pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	theirs, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	if s.listener, err = unix.PidfdGetfd(pidfd, theirs, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(s.listener) })
	return s
}

func (s *supervised) line() string {
	s.t.Helper()
	line, err := s.out.ReadString('\n')
	if err != nil {
		s.t.Fatalf("reading from the task: %v", err)
	}
	return strings.TrimSuffix(line, "\n")
}

// call makes the task change an owner, and receives the notification.
func (s *supervised) call(path string, id uint32) unotify.Notif {
	s.t.Helper()
	fmt.Fprintln(s.in, path, id)
	for {
		var n unotify.Notif
		switch e := unotify.Recv(s.listener, &n); e {
		case 0:
			return n
		case unix.EINTR, unix.ENOENT:
		default:
			s.t.Fatalf("Recv: %v", e)
		}
	}
}

func TestAnswers(t *testing.T) {
	s := start(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, path string
		id         uint32
		answer     unotify.Resp
		want       string // value and errno that the task sees
	}{
		{"success", file, 42, unotify.Resp{}, "0 0"},
		{"value", file, 42, unotify.Resp{Val: 1234567}, "1234567 0"},
		{"errno", file, 42, unotify.Resp{Error: -int32(unix.ENOTDIR)}, "-1 " + strconv.Itoa(int(unix.ENOTDIR))},
		{"the kernel's success", file, 0, unotify.Resp{Flags: unotify.FlagContinue}, "0 0"},
		{"the kernel's error", file, 42, unotify.Resp{Flags: unotify.FlagContinue}, "-1 " + strconv.Itoa(int(unix.EINVAL))},
		{"the kernel's ENOENT", file + ".none", 0, unotify.Resp{Flags: unotify.FlagContinue}, "-1 " + strconv.Itoa(int(unix.ENOENT))},
	} {
		n := s.call(tt.path, tt.id)
		if n.ID == 0 || n.Flags != 0 || n.Data.NR != unix.SYS_FCHOWNAT {
			t.Errorf("%s: notification %+v", tt.name, n)
		}
		if n.Data.Args[2] != uint64(tt.id) || int32(n.Data.Args[0]) != unix.AT_FDCWD {
			t.Errorf("%s: arguments %#x", tt.name, n.Data.Args)
		}
		if _, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d", s.cmd.Process.Pid, n.PID)); err != nil {
			t.Errorf("%s: %d is no thread of the task: %v", tt.name, n.PID, err)
		}
		if got := readString(t, n.PID, uintptr(n.Data.Args[1])); got != tt.path {
			t.Errorf("%s: the path is %q, want %q", tt.name, got, tt.path)
		}
		if !unotify.Waits(s.listener, n.ID) {
			t.Errorf("%s: does not wait before the answer", tt.name)
		}
		tt.answer.ID = n.ID
		if e := unotify.Send(s.listener, &tt.answer); e != 0 {
			t.Fatalf("%s: Send: %v", tt.name, e)
		}
		if unotify.Waits(s.listener, n.ID) {
			t.Errorf("%s: waits after the answer", tt.name)
		}
		if got := s.line(); got != tt.want {
			t.Errorf("%s: the task sees %q, want %q", tt.name, got, tt.want)
		}
		if e := unotify.Send(s.listener, &tt.answer); e != unix.ENOENT {
			t.Errorf("%s: a second answer: %v, want ENOENT", tt.name, e)
		}
	}
}

func readString(t *testing.T, tid uint32, addr uintptr) string {
	t.Helper()
	b := make([]byte, 256)
	n, err := unix.ProcessVMReadv(int(tid), []unix.Iovec{{Base: &b[0], Len: uint64(len(b))}}, []unix.RemoteIovec{{Base: addr, Len: len(b)}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	s, _, _ := bytes.Cut(b[:n], []byte{0})
	return string(s)
}

// Any process that holds the listener can answer a notification that another one has
// received: that is how a new worker takes over from a dead one.
func TestAnotherDescriptorAnswers(t *testing.T) {
	s := start(t)
	n := s.call("/", 42)
	other, err := unix.Dup(s.listener)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(other)
	if !unotify.Waits(other, n.ID) {
		t.Error("not valid at the duplicate")
	}
	if e := unotify.Send(other, &unotify.Resp{ID: n.ID, Error: -int32(unix.EIO)}); e != 0 {
		t.Fatal(e)
	}
	if got, want := s.line(), "-1 "+strconv.Itoa(int(unix.EIO)); got != want {
		t.Errorf("the task sees %q, want %q", got, want)
	}
}

func TestKilledTask(t *testing.T) {
	s := start(t)
	n := s.call("/", 42)
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = s.cmd.Wait()
	if unotify.Waits(s.listener, n.ID) {
		t.Error("the notification of a dead task is valid")
	}
	if e := unotify.Send(s.listener, &unotify.Resp{ID: n.ID}); e != unix.ENOENT {
		t.Errorf("Send: %v, want ENOENT", e)
	}
}

func TestWaitHangup(t *testing.T) {
	s := start(t)
	done := make(chan error, 1)
	go func() { done <- unotify.WaitHangup(s.listener) }()
	n := s.call("/", 42) // a notification does not end the wait
	if e := unotify.Send(s.listener, &unotify.Resp{ID: n.ID}); e != 0 {
		t.Fatal(e)
	}
	s.line()
	select {
	case err := <-done:
		t.Fatalf("WaitHangup returns while the task lives: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	s.in.Close() // the task ends
	if kernelBefore(t, 6, 11) {
		_ = s.cmd.Wait() // the listener hangs up when the task is reaped
	}
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("WaitHangup does not return after the end of the task")
	}
	if err := unotify.WaitHangup(s.listener); err != nil { // at once
		t.Error(err)
	}
}

// kernelBefore reports whether the kernel is older than this release.
func kernelBefore(t *testing.T, major, minor int) bool {
	t.Helper()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	var x, y int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &x, &y); err != nil {
		t.Fatal(err)
	}
	return x < major || x == major && y < minor
}

func TestSyncWakeUp(t *testing.T) {
	s := start(t)
	for _, on := range []bool{true, false, true} {
		if e := unotify.SetSyncWakeUp(s.listener, on); e == unix.EINVAL {
			t.Skip("this kernel has no such flag (Linux 6.6)")
		} else if e != 0 {
			t.Fatal(e)
		}
		n := s.call("/", 42)
		if e := unotify.Send(s.listener, &unotify.Resp{ID: n.ID, Val: 7}); e != 0 {
			t.Fatal(e)
		}
		if got := s.line(); got != "7 0" {
			t.Errorf("with the flag %v: the task sees %q", on, got)
		}
	}
}

// The kernel refuses a structure that is not zero: it may give it a meaning later.
func TestRecvWantsZeros(t *testing.T) {
	s := start(t)
	if e := unotify.Recv(s.listener, &unotify.Notif{PID: 1}); e != unix.EINVAL {
		t.Errorf("Recv: %v, want EINVAL", e)
	}
}
