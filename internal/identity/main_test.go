package identity

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/workertest"
)

func TestMain(m *testing.M) { os.Exit(workertest.Run(m)) }

// newTable returns an empty table and its file.
func newTable(t *testing.T) (*Table, int) {
	t.Helper()
	fd, err := unix.MemfdCreate("identities", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Ftruncate(fd, Size); err != nil {
		t.Fatal(err)
	}
	return mapTable(t, fd), fd
}

// mapTable maps the table in a file, as a worker or its successor does.
func mapTable(t *testing.T, fd int) *Table {
	t.Helper()
	proc, err := unix.Open("/proc", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(proc) })
	table, err := Map(fd, 0, proc, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// user is the state of an ordinary user.
func user(uid uint32, groups ...uint32) *State {
	s := Root()
	s.Groups = groups
	s.Credentials, _ = s.Setuid(uid)
	return &s
}

// wants checks the state of a task.
func (t *Table) wants(tt *testing.T, what string, tid uint32, want *State) {
	tt.Helper()
	got, e := t.Get(tid)
	if e != 0 || !got.Equal(want) {
		tt.Errorf("%s: %+v, %v\nwant %+v", what, got, e, *want)
	}
}

// python is a task that executes the lines that it receives, and answers each with the
// value of the variable r.
type python struct {
	t     *testing.T
	pid   uint32
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Reader
}

const loop = `
import os, sys, threading, ctypes, signal, time
libc = ctypes.CDLL(None, use_errno=True)
def thread():
    "Starts a thread, and returns its id and the event that ends it."
    end, ids = threading.Event(), []
    def run():
        ids.append(threading.get_native_id())
        ready.set()
        end.wait()
    ready = threading.Event()
    threading.Thread(target=run, daemon=True).start()
    ready.wait()
    return ids[0], end
def fork(f=signal.pause):
    pid = os.fork()
    if pid == 0:
        f()
        os._exit(0)
    return pid
while True:
    line = sys.stdin.readline()
    if not line:
        break
    r = 0
    exec(line)
    print(r, flush=True)
`

// startPython starts a task. Prefix is a command that executes another one.
func startPython(t *testing.T, prefix ...string) *python {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("needs python3")
	}
	argv := append(prefix, "python3", "-c", loop)
	p := &python{t: t, cmd: exec.Command(argv[0], argv[1:]...)}
	p.cmd.Stderr = os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.pid = uint32(p.cmd.Process.Pid)
	t.Cleanup(func() {
		_ = unix.Kill(-int(p.pid), unix.SIGKILL)
		_ = p.cmd.Wait()
	})
	p.do("r = 1")
	return p
}

// do executes a line of Python, and returns r.
func (p *python) do(format string, args ...any) uint32 {
	p.t.Helper()
	if _, err := fmt.Fprintf(p.stdin, format+"\n", args...); err != nil {
		p.t.Fatal(err)
	}
	answer, err := p.out.ReadString('\n')
	if err != nil {
		p.t.Fatalf("%s: %v", format, err)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(answer), 10, 32)
	if err != nil {
		p.t.Fatal(err)
	}
	return uint32(n)
}
