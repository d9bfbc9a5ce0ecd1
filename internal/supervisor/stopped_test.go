package supervisor

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/unotify"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// A child that is stopped between fork and execve keeps nobody waiting. A filter holds it there: its
// first call of dup3(2) is notified.
func TestStoppedAfterFork(t *testing.T) {
	file := func(name string) int {
		f, err := os.OpenFile(filepath.Join(t.TempDir(), name), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return int(f.Fd())
	}
	files := []int{file("0"), file("1"), file("2"), file("until"), file("mark")}
	command := userns.Command{Namespace: -1, Path: "/bin/true", Args: []string{"true"}, Files: files}
	dormant := userns.Dormant{Path: "/bin/true", Args: []string{"true"}, Files: files, Until: 3, Mark: 4}
	for name, start := range map[string]func() (int, error){"Command": command.Start, "Dormant": dormant.Start} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testStoppedAfterFork(t, start)
		})
	}
}

func testStoppedAfterFork(t *testing.T, start func() (pid int, err error)) {
	prog, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 0, Size: 4}, // struct seccomp_data.nr
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SYS_DUP3, SkipFalse: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_USER_NOTIF},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW},
	})
	if err != nil {
		t.Fatal(err)
	}
	listeners, errs := make(chan int, 1), make(chan error, 2)
	go func() {
		runtime.LockOSThread() // not unlocked: the thread ends together with its filter
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			errs <- err
			return
		}
		listener, err := unotify.Install(prog)
		if err != nil {
			errs <- err
			return
		}
		listeners <- listener
		pid, err := start()
		if err == nil {
			_, err = userns.Wait(pid)
		}
		errs <- err
	}()
	var listener int
	select {
	case err := <-errs:
		t.Fatal(err)
	case listener = <-listeners:
	}
	child := 0
	for late := time.Now().Add(time.Minute); ; {
		select {
		case err := <-errs:
			if err != nil || child == 0 {
				t.Errorf("process %d: %v", child, err)
			}
			unix.Close(listener)
			return
		default:
		}
		if time.Now().After(late) {
			t.Fatalf("process %d stays stopped", child)
		}
		var n unotify.Notif
		if waiting, err := unotify.Poll(listener, 10*time.Millisecond); err != nil || !waiting || unotify.Recv(listener, &n) != 0 {
			continue // a signal has interrupted the call, or the child has ended
		}
		if child == 0 { // it stops when the call returns, if not before
			child = int(n.PID)
			if err := unix.Kill(child, unix.SIGSTOP); err != nil {
				t.Error(err)
			}
		}
		_ = unotify.Send(listener, &unotify.Resp{ID: n.ID, Flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}) // ENOENT if the signal has interrupted the call
	}
}
