package cred_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/credtest"
)

// target sets the ids in its arguments, writes "ready", and waits for the end of its input.
func target() {
	var uid, gid [3]int
	for n, ids := range []*[3]int{&uid, &gid} {
		if _, err := fmt.Sscan(os.Args[1+n], &ids[0], &ids[1], &ids[2]); err != nil {
			panic(err)
		}
	}
	if err := syscall.Setresgid(gid[0], gid[1], gid[2]); err != nil {
		panic(err)
	}
	if err := syscall.Setresuid(uid[0], uid[1], uid[2]); err != nil {
		panic(err)
	}
	// A process that changes its ids is not dumpable: prctl(2), PR_SET_DUMPABLE.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	fmt.Println("ready")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		panic(err)
	}
}

func all(id uint32) cred.IDs { return cred.IDs{Real: id, Effective: id, Saved: id, FS: id} }

// startTarget starts a process with these ids, in a session of its own if alone is set.
func startTarget(t *testing.T, uid, gid cred.IDs, alone bool) (pid int, stop func()) {
	t.Helper()
	arg := func(ids cred.IDs) string { return fmt.Sprint(ids.Real, ids.Effective, ids.Saved) }
	cmd := exec.Command("/proc/self/exe", arg(uid), arg(gid))
	cmd.Env = append(os.Environ(), role+"=target")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: alone}
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatalf("target: %q, %v", line, err)
	}
	return cmd.Process.Pid, func() {
		if err := stdin.Close(); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// TestTasksKernel makes calls that need a permission on another process, and compares the
// kernel's errors with the model.
func TestTasksKernel(t *testing.T) {
	credtest.NeedRoot(t)
	type sender struct {
		thread *credtest.Thread
		cred.Credentials
	}
	var senders []sender
	for _, uid := range []cred.IDs{all(7), {Real: 7, Effective: 8, Saved: 9, FS: 9}} {
		for _, gid := range []cred.IDs{all(7), {Real: 7, Effective: 8, Saved: 9, FS: 9}} {
			for _, caps := range []cred.Caps{0, 1 << unix.CAP_KILL, 1 << unix.CAP_SYS_NICE, 1 << unix.CAP_SYS_RESOURCE, 1 << unix.CAP_SYS_PTRACE} {
				c := credtest.Root()
				c.UID, c.GID = uid, gid
				c.Permitted &= caps
				c.Effective = c.Permitted
				s := sender{credtest.NewThread(), c}
				defer s.thread.Close()
				s.thread.Do(func() { credtest.Become(c) })
				senders = append(senders, s)
			}
		}
	}
	check := func(to cred.Credentials, alone bool) {
		pid, stop := startTarget(t, to.UID, to.GID, alone)
		defer stop()
		for _, s := range senders {
			from := s.Credentials
			for _, op := range []struct {
				name string
				may  bool
				do   func() (uint64, unix.Errno)
			}{
				{"kill 0", cred.MaySignal(from, to, 0, !alone), system(unix.SYS_KILL, uint64(pid), 0)},
				{"kill SIGCONT", cred.MaySignal(from, to, unix.SIGCONT, !alone), system(unix.SYS_KILL, uint64(pid), uint64(unix.SIGCONT))},
				{"setpriority", cred.MaySchedule(from, to), system(unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, uint64(pid), lowest)},
				{"sched_setscheduler", cred.MaySchedule(from, to), setSchedBatch(pid)},
				{"ioprio_set", cred.MaySetIOPriority(from, to), system(unix.SYS_IOPRIO_SET, whoProcess, uint64(pid), bestEffort4)},
				{"prlimit", cred.MayPrlimit(from, to), system(unix.SYS_PRLIMIT64, uint64(pid), unix.RLIMIT_NOFILE, 0, 0)},
				{"kcmp", cred.MayPtrace(from, to, false), system(unix.SYS_KCMP, uint64(pid), uint64(pid), kcmpFS)},
				{"move_pages", cred.MayPtrace(from, to, false), system(unix.SYS_MOVE_PAGES, uint64(pid))},
			} {
				want := unix.Errno(0)
				if !op.may {
					want = unix.EPERM
				}
				var got unix.Errno
				s.thread.Do(func() { _, got = op.do() })
				if got != want {
					t.Errorf("%s from %+v to %+v %+v, alone %v: kernel %v, model %v", op.name, from, to.UID, to.GID, alone, got, want)
				}
			}
		}
	}
	for _, real := range []uint32{7, 8, 9} {
		for _, effective := range []uint32{7, 8, 9} {
			for _, saved := range []uint32{7, 8, 9} {
				if testing.Short() && (real+effective+saved)%3 != 0 { // each pair of ids remains
					continue
				}
				ids := cred.IDs{Real: real, Effective: effective, Saved: saved}
				check(cred.Credentials{UID: ids, GID: all(7)}, saved == 9)
				check(cred.Credentials{UID: all(7), GID: ids}, saved == 7)
			}
		}
	}
}

// lowest is the priority that any caller with permission may set, whatever the old one is.
const lowest = 19

// Arguments of ioprio_set(2), from <linux/ioprio.h>: IOPRIO_WHO_PROCESS, and the default
// class and level of processes.
const (
	whoProcess  = 1
	bestEffort4 = 2<<13 | 4
)

// kcmpFS is KCMP_FS of <linux/kcmp.h>.
const kcmpFS = 3

// setSchedBatch makes a sched_setscheduler(2) call to a policy that needs no privilege.
func setSchedBatch(pid int) func() (uint64, unix.Errno) {
	return func() (uint64, unix.Errno) {
		var priority int32
		_, _, e := syscall.RawSyscall(unix.SYS_SCHED_SETSCHEDULER, uintptr(pid), unix.SCHED_BATCH, uintptr(unsafe.Pointer(&priority)))
		return 0, e
	}
}

func TestMayPtrace(t *testing.T) {
	raw, ptrace := cred.Caps(1<<unix.CAP_NET_RAW), cred.Caps(1<<unix.CAP_SYS_PTRACE)
	user := func(id uint32, permitted, effective cred.Caps) cred.Credentials {
		return cred.Credentials{UID: all(id), GID: all(id), Permitted: permitted, Effective: effective}
	}
	fs := user(7, 0, 0)
	fs.UID.FS = 8
	for _, test := range []struct {
		rule           string
		caller, target cred.Credentials
		fscreds, want  bool
	}{
		{"The real, effective, and saved-set user IDs of the target match the caller's user ID", user(7, 0, 0), user(7, 0, 0), false, true},
		{"and not if they differ", user(7, 0, 0), user(8, 0, 0), false, false},
		{"The caller has the CAP_SYS_PTRACE capability", user(7, ptrace, ptrace), cred.Root(), false, true},
		{"but not if it is not effective", user(7, ptrace, 0), user(8, 0, 0), false, false},
		{"employ the caller's filesystem UID", fs, user(7, 0, 0), true, false},
		{"but also the filesystem GID", fs, user(8, 0, 0), true, false},
		{"Otherwise use the caller's real UID", fs, user(7, 0, 0), false, true},
		{"the caller's capabilities are a superset of the target process's permitted capabilities", user(7, raw, raw), user(7, raw, 0), true, true},
		{"and not if they are no superset", user(7, 0, 0), user(7, raw, 0), true, false},
		{"use the effective set of the caller", user(7, raw, 0), user(7, raw, 0), true, false},
		{"or the permitted set", user(7, raw, 0), user(7, raw, 0), false, true},
	} {
		if got := cred.MayPtrace(test.caller, test.target, test.fscreds); got != test.want {
			t.Errorf("%s: %v, want %v", test.rule, got, test.want)
		}
	}
}

func TestMayPing(t *testing.T) {
	c := cred.Credentials{GID: cred.IDs{Real: 1, Effective: 5, Saved: 1, FS: 1}, Groups: []uint32{10, 20}}
	for _, test := range []struct {
		low, high uint32
		want      bool
	}{
		{1, 0, false}, {0, 4, false}, {0, 5, true}, {5, 5, true}, {6, 9, false}, {10, 10, true}, {11, 19, false}, {15, 20, true},
		{21, 1<<31 - 1, false}, {0, 1<<31 - 1, true},
	} {
		if got := cred.MayPing(c, test.low, test.high); got != test.want {
			t.Errorf("groups %d to %d: %v, want %v", test.low, test.high, got, test.want)
		}
	}
}
