package test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/console"
)

// TestJobControl types into an interactive shell: stops a job, brings it back
// and interrupts it.
func TestJobControl(t *testing.T) {
	for _, tt := range []struct {
		name    string
		command func(t *testing.T) []string
	}{
		{"exec", func(*testing.T) []string { return []string{"subuidless", "exec", "--", "bash", "--norc", "-i"} }},
		{"run", func(t *testing.T) []string {
			return []string{"subuidless", "run", debianRootfs(t), "--", "bash", "--norc", "-i"}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			term := startOnTerminal(t, tt.command(t)...)
			term.typeLine("PS1='ready> '")
			term.expect("ready> ")
			term.typeLine("stty size")
			term.expect("33 77")
			term.typeLine("sleep 1000")
			time.Sleep(300 * time.Millisecond) // until it is in the foreground
			term.typeKey('Z')
			term.expect("[1]+  Stopped")
			term.typeLine("jobs")
			term.expect("[1]+  Stopped")
			term.typeLine("fg")
			term.expect("sleep 1000")
			time.Sleep(300 * time.Millisecond)
			term.typeKey('C')
			term.typeLine("echo status $?")
			term.expect("status 130")
			term.typeLine("exit 5")
			if status := term.wait(); status != 5 {
				t.Errorf("exit status %d, want 5", status)
			}
		})
	}
}

// TestTerminalSignals types what interrupts and quits the programs in the foreground. The supervisor, of the same session, goes on answering.
func TestTerminalSignals(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	term := startOnTerminal(t, "subuidless", "exec", "--", "sh", "-c", `
		show() { echo; stat -c "$1, owner %u" "$file"; } # not in the line of the key's echo
		trap 'show interrupted' INT
		trap 'show quit; exit 3' QUIT
		file=$1
		touch "$file" && chown 5 "$file" && echo ready
		while :; do sleep 0.1; done`, "sh", file)
	term.expect("ready")
	term.typeKey('C')
	term.expect("interrupted, owner 5")
	term.typeKey('\\')
	term.expect("quit, owner 5")
	if status := term.wait(); status != 3 {
		t.Errorf("exit status %d, want 3", status)
	}
}

// terminal is a terminal with a program on it.
type terminal struct {
	t      *testing.T
	master console.Console
	cmd    *exec.Cmd
	done   chan error

	mu     sync.Mutex
	output bytes.Buffer // what the program has written and expect has not seen
}

func startOnTerminal(t *testing.T, argv ...string) *terminal {
	t.Helper()
	master, slaveName, err := console.NewPty()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := master.Resize(console.WinSize{Height: 33, Width: 77}); err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(slaveName, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	term := &terminal{t: t, master: master, done: make(chan error, 1)}
	term.cmd = exec.Command(argv[0], argv[1:]...)
	term.cmd.Stdin, term.cmd.Stdout, term.cmd.Stderr = slave, slave, slave
	term.cmd.Env = append(os.Environ(), "TERM=dumb")
	term.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := term.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { term.done <- term.cmd.Wait() }()
	go term.record()
	t.Cleanup(func() { term.cmd.Process.Kill() })
	return term
}

// record collects the output until the terminal is closed.
func (term *terminal) record() {
	b := make([]byte, 4096)
	for {
		n, err := term.master.Read(b)
		if err != nil {
			return
		}
		term.mu.Lock()
		term.output.Write(b[:n])
		term.mu.Unlock()
	}
}

func (term *terminal) typeLine(line string) {
	term.t.Helper()
	if _, err := term.master.Write([]byte(line + "\n")); err != nil {
		term.t.Fatal(err)
	}
}

// typeKey types a letter with the control key held down.
func (term *terminal) typeKey(letter byte) {
	term.t.Helper()
	if _, err := term.master.Write([]byte{letter - '@'}); err != nil {
		term.t.Fatal(err)
	}
}

// expect waits for a line that begins with want, which an echo of what was
// typed does not: it comes after the prompt.
func (term *terminal) expect(want string) {
	term.t.Helper()
	var seen string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		term.mu.Lock()
		seen = term.output.String()
		if _, after, found := strings.Cut("\n"+seen, "\n"+want); found {
			term.output.Reset()
			term.output.WriteString(after)
			term.mu.Unlock()
			return
		}
		term.mu.Unlock()
	}
	term.t.Fatalf("no %q in:\n%s", want, seen)
}

func (term *terminal) wait() (status int) {
	term.t.Helper()
	select {
	case <-term.done:
		return term.cmd.ProcessState.ExitCode()
	case <-time.After(10 * time.Second):
		term.t.Fatalf("%v has not ended", term.cmd)
		return -1
	}
}
