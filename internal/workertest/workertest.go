// Package workertest runs the tests of a package in the environment of a worker: a
// user namespace that maps one id, with decoy files as descriptors 0 to 2. Tests need
// it for code that depends on what a worker may do.
package workertest

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// No test runs on the first thread of the process, to which the main goroutine is locked from
// now on: its id is that of the process, it stays when a goroutine that is locked to it ends,
// and /proc/self shows its namespaces and descriptors.
func init() { runtime.LockOSThread() }

// inside is the environment variable that marks the process that runs the tests.
const inside = "SUBUIDLESS_WORKERTEST"

// Run runs the tests of m in the environment of a worker, and returns their exit
// status. It is for TestMain.
func Run(m *testing.M) int {
	if os.Getenv(inside) == "" {
		return rerun()
	}
	os.Stdout, os.Stderr = os.NewFile(3, "stdout"), os.NewFile(4, "stderr")
	requests, answers = os.NewFile(5, "requests"), os.NewFile(6, "answers")
	unix.CloseOnExec(5)
	unix.CloseOnExec(6)
	if err := debug.SetCrashOutput(os.Stderr, debug.CrashOptions{}); err != nil {
		panic(err)
	}
	return m.Run()
}

// requests and answers are pipes to the process that has started this one.
var requests, answers *os.File

// RealTime gives the thread tid a real-time scheduling policy. The process outside
// of the user namespace does it, because that needs CAP_SYS_NICE in the initial user
// namespace (sched(7)). The error is EPERM if that process lacks it, too.
func RealTime(tid uint32) error {
	if err := binary.Write(requests, binary.NativeEndian, tid); err != nil {
		return err
	}
	var e uint32
	if err := binary.Read(answers, binary.NativeEndian, &e); err != nil {
		return err
	}
	if e != 0 {
		return unix.Errno(e)
	}
	return nil
}

// serveRealTime serves the requests of RealTime until that pipe is closed.
func serveRealTime(requests, answers *os.File) {
	for {
		var tid, e uint32
		if binary.Read(requests, binary.NativeEndian, &tid) != nil {
			return
		}
		attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
		if err := unix.SchedSetAttr(int(tid), &attr, 0); err != nil {
			e = uint32(err.(unix.Errno))
		}
		if binary.Write(answers, binary.NativeEndian, e) != nil {
			return
		}
	}
}

// rerun runs this program again, in a new user and mount namespace, and returns its
// exit status. The goroutine is locked to its thread, to which Pdeathsig refers.
func rerun() int {
	fd, err := unix.MemfdCreate("decoy", unix.MFD_CLOEXEC)
	if err != nil {
		panic(err)
	}
	decoy := os.NewFile(uintptr(fd), "decoy")
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = decoy, decoy, decoy
	asked, ask, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	answer, told, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	go serveRealTime(asked, told)
	cmd.ExtraFiles = []*os.File{os.Stdout, os.Stderr, ask, answer}
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   unix.SIGKILL,
	}
	if err := cmd.Run(); cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, "cannot start the tests in a user namespace:", err)
		return 1
	}
	return cmd.ProcessState.ExitCode()
}
