package tracee

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

// inside in the environment says what the test binary is to be.
const inside = "TRACEE_TEST"

// TestMain runs the tests as a worker runs: with the privileges of a user
// namespace that maps one id, and with a file of no use as descriptors 0 to 2.
func TestMain(m *testing.M) {
	switch os.Getenv(inside) {
	case "worker":
		os.Stdout, os.Stderr = os.NewFile(3, "stdout"), os.NewFile(4, "stderr")
		if err := debug.SetCrashOutput(os.Stderr, debug.CrashOptions{}); err != nil {
			panic(err)
		}
		os.Exit(m.Run())
	case "task":
		task()
	default:
		os.Exit(startWorker())
	}
}

func startWorker() int {
	runtime.LockOSThread() // whose end kills the child
	fd, err := unix.MemfdCreate("useless", unix.MFD_CLOEXEC)
	if err != nil {
		panic(err)
	}
	useless := os.NewFile(uintptr(fd), "useless")
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = useless, useless, useless
	cmd.ExtraFiles = []*os.File{os.Stdout, os.Stderr}
	cmd.Env = append(os.Environ(), inside+"=worker")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER,
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

// enter makes the test's thread one that answers calls, which ends with the test.
func enter(t *testing.T) *Tracee {
	t.Helper()
	runtime.LockOSThread()
	open := func(path string, flags int) int {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatalf("open %s: %v", path, err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	tr, err := Enter(open("/proc", unix.O_PATH), View{MountNS: open("/proc/self/ns/mnt", unix.O_RDONLY), Root: open("/", unix.O_PATH)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		tr.Reset(0)
		if tr.pidfd >= 0 {
			unix.Close(tr.pidfd)
		}
	})
	return tr
}
