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

// target takes the ids in its arguments, says so, and waits for the end of its input.
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
	fmt.Println("ready")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		panic(err)
	}
}

// startTarget starts a process of those ids, in a session of its own if it is to be alone.
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

// TestTasksKernel does to processes what needs permission, and compares who may.
func TestTasksKernel(t *testing.T) {
	credtest.NeedRoot(t)
	all := func(id uint32) cred.IDs { return cred.IDs{Real: id, Effective: id, Saved: id, FS: id} }
	type sender struct {
		thread *credtest.Thread
		cred.Credentials
	}
	var senders []sender
	for _, uid := range []cred.IDs{all(7), {Real: 7, Effective: 8, Saved: 9, FS: 9}} {
		for _, gid := range []cred.IDs{all(7), {Real: 7, Effective: 8, Saved: 9, FS: 9}} {
			for _, caps := range []cred.Caps{0, 1 << unix.CAP_KILL, 1 << unix.CAP_SYS_NICE, 1 << unix.CAP_SYS_RESOURCE} {
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
				{"setpriority", cred.MaySchedule(from, to), system(unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, uint64(pid), 0)},
				{"sched_setscheduler", cred.MaySchedule(from, to), setSchedBatch(pid)},
				{"ioprio_set", cred.MaySetIOPriority(from, to), system(unix.SYS_IOPRIO_SET, whoProcess, uint64(pid), bestEffort4)},
				{"prlimit", cred.MayPrlimit(from, to), system(unix.SYS_PRLIMIT64, uint64(pid), unix.RLIMIT_NOFILE, 0, 0)},
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
				ids := cred.IDs{Real: real, Effective: effective, Saved: saved}
				check(cred.Credentials{UID: ids, GID: all(7)}, saved == 9)
				check(cred.Credentials{UID: all(7), GID: ids}, saved == 7)
			}
		}
	}
}

// Arguments of ioprio_set(2), from <linux/ioprio.h>: a process, and the class and the level
// that processes have anyway.
const (
	whoProcess  = 1
	bestEffort4 = 2<<13 | 4
)

// setSchedBatch is sched_setscheduler(2) to a policy that needs no privilege of its own.
func setSchedBatch(pid int) func() (uint64, unix.Errno) {
	return func() (uint64, unix.Errno) {
		var priority int32
		_, _, e := syscall.RawSyscall(unix.SYS_SCHED_SETSCHEDULER, uintptr(pid), unix.SCHED_BATCH, uintptr(unsafe.Pointer(&priority)))
		return 0, e
	}
}
