// Package workertest runs the tests of a package as a worker runs.
package workertest

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inside in the environment says that the tests run as they should.
const inside = "SUBUIDLESS_WORKERTEST"

// Run runs the tests of m, and returns their exit status. They have the
// privileges of a user namespace that maps one id, and a file of no use as
// descriptors 0 to 2. TestMain calls it.
func Run(m *testing.M) int {
	if os.Getenv(inside) == "" {
		return again()
	}
	os.Stdout, os.Stderr = os.NewFile(3, "stdout"), os.NewFile(4, "stderr")
	if err := debug.SetCrashOutput(os.Stderr, debug.CrashOptions{}); err != nil {
		panic(err)
	}
	return m.Run()
}

// again runs this program again in the namespace.
func again() int {
	runtime.LockOSThread() // whose end kills the child
	fd, err := unix.MemfdCreate("useless", unix.MFD_CLOEXEC)
	if err != nil {
		panic(err)
	}
	useless := os.NewFile(uintptr(fd), "useless")
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = useless, useless, useless
	cmd.ExtraFiles = []*os.File{os.Stdout, os.Stderr}
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   unix.SIGKILL,
	}
	if err := cmd.Run(); cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, "starting the tests in a user namespace:", err)
		return 1
	}
	return cmd.ProcessState.ExitCode()
}
