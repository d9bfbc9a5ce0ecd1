package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// agent is subuidless agent.
type agent struct {
	binary, socket string
	verbose        bool
	cmd            *exec.Cmd
	log            *watchLog
}

// watchLog is the log of an agent.
type watchLog struct {
	verbose bool

	mu   sync.Mutex
	text strings.Builder // guarded by mu
}

func (l *watchLog) Write(b []byte) (int, error) {
	if l.verbose {
		fmt.Fprintf(os.Stderr, "agent: %s", b)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text.Len() < maxText {
		l.text.Write(b)
	}
	return len(b), nil
}

// startAgent starts an agent, and waits until it listens.
func startAgent(binary, socket string, verbose bool) (*agent, error) {
	a := &agent{binary: binary, socket: socket, verbose: verbose}
	return a, a.start()
}

func (a *agent) start() error {
	a.cmd = exec.Command(a.binary, "agent", a.socket)
	a.log = &watchLog{verbose: a.verbose}
	a.cmd.Stderr = a.log
	ready, err := a.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := a.cmd.Start(); err != nil {
		return err
	}
	late := time.AfterFunc(patience, func() { _ = a.cmd.Process.Kill() })
	defer late.Stop()
	if _, err := io.ReadFull(ready, make([]byte, 1)); err != nil {
		return fmt.Errorf("the agent does not say that it is ready: %w", err)
	}
	go func() { _, _ = io.Copy(io.Discard, ready) }()
	return nil
}

// restart starts the agent again when it has been killed.
func (a *agent) restart() error {
	_ = a.cmd.Wait() // it was killed
	return a.start()
}

// said returns what the agent has said since it was started.
func (a *agent) said() string {
	a.log.mu.Lock()
	defer a.log.mu.Unlock()
	return a.log.text.String()
}

// watching reports whether the agent watches the container of an earlier one.
func (a *agent) watching() bool { return strings.Contains(a.said(), `msg="watching container"`) }

// deputies returns the process that serves the agent's connections if it is killed, if there is one.
func (a *agent) deputies() []int {
	return below(a.cmd.Process.Pid, func(args []string) bool { return args[0] == deputyName })
}

// end stops the agent.
func (a *agent) end() {
	_ = a.cmd.Process.Signal(unix.SIGTERM) // it has ended if it was killed
	a.await()
}

// await waits for the end of the agent.
func (a *agent) await() {
	if a.cmd.Process != nil && a.cmd.ProcessState == nil {
		_ = a.cmd.Wait() // the status is of no interest
	}
}
