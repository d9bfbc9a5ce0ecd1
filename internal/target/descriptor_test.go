package target

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

func TestDescriptors(t *testing.T) {
	s := startTask(t)
	tr := enter(t)
	tr.Reset(uint32(s.pid))
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
		asPath, e := tr.OpenedAsPath(tt.fd)
		if (e == unix.EBADF) != (tt.want == "") || asPath != tt.asPath {
			t.Errorf("OpenedAsPath, %s: %v, %v", tt.name, asPath, e)
		}
		var st unix.Stat_t
		fd, e := tr.OpenFD(tt.fd, &st)
		if tt.want == "" || tt.asPath { // as fchown(2) has it
			if e != unix.EBADF {
				t.Errorf("OpenFD, %s: %v, want EBADF", tt.name, e)
			}
		} else if e != 0 || ([2]uint64{st.Dev, st.Ino}) != s.id(tt.want) {
			t.Errorf("OpenFD, %s: %v, want %s", tt.name, e, tt.want)
		}
		if e == 0 {
			unix.Close(fd)
		}
		fd, e = tr.Dup(tt.fd)
		if e == unix.ENOSYS {
			continue // before Linux 6.9
		}
		if tt.want == "" {
			if e != unix.EBADF {
				t.Errorf("Dup, %s: %v, want EBADF", tt.name, e)
			}
			continue
		}
		if e != 0 {
			t.Errorf("Dup, %s: %v", tt.name, e)
			continue
		}
		if e := sys.Fstat(fd, &st); e != 0 || ([2]uint64{st.Dev, st.Ino}) != s.id(tt.want) {
			t.Errorf("Dup, %s: %v, want %s", tt.name, e, tt.want)
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("Dup, %s: not close-on-exec", tt.name)
		}
		unix.Close(fd)
	}
}

// Thread ids are used again: the descriptor of a process that has ended must not
// stand for the next one.
func TestDupAfterTheTaskHasChanged(t *testing.T) {
	first, second := startTask(t), startTask(t)
	tr := enter(t)
	dup := func(s *subject) {
		t.Helper()
		tr.Reset(uint32(s.pid))
		fd, e := tr.Dup(taskFile)
		if e == unix.ENOSYS {
			t.Skip("pidfd_open(PIDFD_THREAD) needs Linux 6.9")
		}
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
	tr.pidfdTID = uint32(second.pid) // as if it had got the id of the first
	dup(second)
}

// A container may own many descriptors: the supervisor keeps none of them.
func TestNoDescriptorsAreKept(t *testing.T) {
	s := startTask(t)
	tr := enter(t)
	count := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	round := func() {
		tr.Reset(uint32(s.pid))
		for _, path := range []string{"file", "none", "loop", "toout", "selfloop", "file/", "tofds/1", "/proc/self/fd/1/x", "/dev/stdout/"} {
			_, _ = resolve(tr, cwd, s.put(path), 0)
		}
		_, _ = resolve(tr, cwd, s.put(padded("file", 4095)), 0)
		_, _ = resolve(tr, taskNone, s.put("x"), 0)
		for _, fd := range []int32{1, taskSub, taskNone} {
			var st unix.Stat_t
			if got, e := tr.OpenFD(fd, &st); e == 0 {
				unix.Close(got)
			}
			if got, e := tr.Dup(fd); e == 0 {
				unix.Close(got)
			}
		}
		tr.Reset(uint32(s.pid))
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

func TestClosed(t *testing.T) {
	s := startTask(t)
	tr := enter(t)
	tr.Reset(uint32(s.pid))
	if tr.Uninspectable() {
		t.Error("a task of the container is closed")
	}
	tr.Reset(uint32(os.Getppid())) // outside of the user namespace
	if os.Getppid() != 0 && !tr.Uninspectable() {
		t.Error("a process of the outer user namespace is open")
	}
	tr.Reset(1 << 30)
	if tr.Uninspectable() {
		t.Error("a task that is gone is closed")
	}
}

// With its own root adopted, the thread sees the task's files still, and is back
// in /proc.
func TestAdoptRoot(t *testing.T) {
	s := startTask(t)
	tr := enter(t)
	tr.Reset(uint32(s.pid))
	for range 2 {
		if e := tr.AdoptRoot(); e != 0 {
			t.Fatal(e)
		}
		if got, e := resolve(tr, cwd, s.put("file"), 0); e != 0 || got != s.id("file") {
			t.Errorf("relative path: %v", e)
		}
	}
	tr.Reset(1 << 30)
	if e := tr.AdoptRoot(); e != unix.ENOENT {
		t.Errorf("of no task: %v, want ENOENT", e)
	}
	tr.Reset(uint32(s.pid))
	if got, e := resolve(tr, cwd, s.put("file"), 0); e != 0 || got != s.id("file") {
		t.Errorf("afterwards: %v", e)
	}
}
