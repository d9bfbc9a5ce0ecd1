package target

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// newTerminal returns both ends of a new pseudoterminal.
func newTerminal(t *testing.T) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return master, terminal
}

// startShell starts a shell that runs script and then waits until the test ends. It
// returns when script is done.
func startShell(t *testing.T, script string, terminal *os.File, attr *syscall.SysProcAttr) (pid uint32) {
	t.Helper()
	cmd := exec.Command("sh", "-c", script+"; echo ready >&3; exec cat <&4")
	readReady, ready, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer readReady.Close()
	wait, end, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.ExtraFiles = []*os.File{ready, wait}
	cmd.SysProcAttr = attr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready.Close()
	wait.Close()
	t.Cleanup(func() {
		end.Close()
		cmd.Wait()
	})
	if line, err := bufio.NewReader(readReady).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the shell says %q, %v", line, err)
	}
	return uint32(cmd.Process.Pid)
}

func TestOpenTerminal(t *testing.T) {
	const flags = unix.O_RDWR | unix.O_NOCTTY | unix.O_CLOEXEC
	const close012 = "exec </dev/null >/dev/null 2>&1"
	own := &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	for _, tt := range []struct {
		name, script string
		attr         *syscall.SysProcAttr
		want         unix.Errno
	}{
		{"has it open", "true", own, 0},
		{"has it open elsewhere", "exec 9<&0; " + close012, own, 0},
		{"has it closed", close012, own, unix.ENXIO},
		{"has none", "true", &syscall.SysProcAttr{Setsid: true}, unix.ENXIO},
	} {
		t.Run(tt.name, func(t *testing.T) {
			master, terminal := newTerminal(t)
			task := enter(t)
			task.Reset(startShell(t, tt.script, terminal, tt.attr))
			fd, e := task.OpenTerminal(flags)
			if e != tt.want {
				t.Fatalf("%v, want %v", e, tt.want)
			}
			if e != 0 {
				return
			}
			f := os.NewFile(uintptr(fd), "terminal")
			defer f.Close()
			if _, err := f.WriteString("hello"); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 5)
			if _, err := io.ReadFull(master, b); err != nil || string(b) != "hello" {
				t.Errorf("the other end has got %q, %v", b, err)
			}
		})
	}
	t.Run("another user's", func(t *testing.T) {
		master, terminal := newTerminal(t)
		pid := startShell(t, "true", terminal, own)
		readOnly := startShell(t, "exec 9<"+terminal.Name()+" 0</dev/null 1>&0 2>&0", terminal, &syscall.SysProcAttr{})
		task := enter(t)
		// From now on, no process without CAP_DAC_OVERRIDE can open it.
		if err := terminal.Chmod(0); err != nil {
			t.Fatal(err)
		}
		dropOverride(t)
		task.Reset(pid)
		fd, e := task.OpenTerminal(flags)
		if e != 0 {
			t.Fatal(e)
		}
		f := os.NewFile(uintptr(fd), "terminal")
		defer f.Close()
		if _, err := f.WriteString("hello"); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 5)
		if _, err := io.ReadFull(master, b); err != nil || string(b) != "hello" {
			t.Errorf("the other end has got %q, %v", b, err)
		}
		task.Reset(readOnly)
		if fd, err := task.dupTerminal("9", unix.O_RDONLY); err != nil {
			t.Errorf("for reading: %v", err)
		} else {
			unix.Close(fd)
		}
		if _, err := task.dupTerminal("9", flags); err != unix.EACCES {
			t.Errorf("for writing: %v, want EACCES", err)
		}
	})
	t.Run("is gone", func(t *testing.T) {
		task := enter(t)
		task.Reset(1 << 30)
		if _, e := task.OpenTerminal(flags); e != unix.ENXIO {
			t.Errorf("%v, want ENXIO", e)
		}
	})
}

// dropOverride removes the capabilities that bypass permission bits from the test's
// thread. The thread ends with the test.
func dropOverride(t *testing.T) {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		t.Fatal(err)
	}
	data[0].Effective &^= 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH
	if err := unix.Capset(&header, &data[0]); err != nil {
		t.Fatal(err)
	}
}
