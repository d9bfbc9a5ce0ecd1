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

// TestJobControl stops a job of an interactive shell from the keyboard, continues it in
// the foreground, and interrupts it.
func TestJobControl(t *testing.T) {
	for _, tt := range []struct {
		name    string
		command func(t *testing.T) []string
	}{
		{"exec", func(*testing.T) []string { return []string{"subuidless", "exec", "--", "bash", "--norc", "-i"} }},
		{"session", func(t *testing.T) []string {
			return []string{"subuidless", "session", "exec", "--session", newSession(t), "--", "bash", "--norc", "-i"}
		}},
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
			term.typeLine("sleep 31415")
			awaitForeground(t, "sleep", "31415")
			term.typeKey('Z')
			term.expect("[1]+  Stopped")
			term.typeLine("jobs")
			term.expect("[1]+  Stopped")
			term.typeLine("fg")
			term.expect("sleep 31415")
			awaitForeground(t, "sleep", "31415")
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

// awaitForeground waits until a process with this command line is in the foreground of
// its terminal, and sleeps.
func awaitForeground(t *testing.T, argv ...string) {
	t.Helper()
	cmdline := strings.Join(argv, "\x00") + "\x00"
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		processes, err := filepath.Glob("/proc/[0-9]*")
		if err != nil {
			panic(err) // a malformed pattern
		}
		for _, dir := range processes {
			if b, err := os.ReadFile(filepath.Join(dir, "cmdline")); err != nil || string(b) != cmdline {
				continue
			}
			stat, err := os.ReadFile(filepath.Join(dir, "stat"))
			if err != nil {
				continue // it has ended
			}
			// proc_pid_stat(5): after the name in parentheses: state, ppid, pgrp, session,
			// tty_nr, tpgid.
			_, rest, _ := bytes.Cut(stat, []byte(") "))
			if f := strings.Fields(string(rest)); len(f) > 5 && f[0] == "S" && f[2] == f[5] {
				return
			}
		}
	}
	t.Fatalf("%v is not in the foreground", argv)
}

// TestTerminalSignals types the keys that interrupt and quit the programs in the
// foreground. The supervisor, in the same session, must continue to answer.
func TestTerminalSignals(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	term := startOnTerminal(t, "subuidless", "exec", "--", "sh", "-c", `
		show() { echo; stat -c "$1, owner %u" "$file"; } # the terminal has echoed the key in this line
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

// terminal is a terminal with a program that runs on it.
type terminal struct {
	t      *testing.T
	master console.Console
	cmd    *exec.Cmd
	done   chan error

	mu     sync.Mutex
	output bytes.Buffer // that expect has not matched yet
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

// expect waits for a line that begins with want. The echo of the typed text does not
// count, because it follows the prompt.
func (term *terminal) expect(want string) {
	term.t.Helper()
	var seen string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
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
	case <-time.After(patience):
		term.t.Fatalf("%v has not ended", term.cmd)
		return -1
	}
}
