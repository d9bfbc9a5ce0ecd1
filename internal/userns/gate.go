package userns

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Gate is what a program has to pass that StartGated starts: a seccomp filter with a listener, which
// has to be served before the program begins.
type Gate struct {
	// Paths are those among which the program is, in place of Command.Path: the first one that the
	// caller of execve(2) may execute.
	Paths []string
	// Filter is the filter.
	Filter *unix.SockFprog
	// Flags are those of SECCOMP_SET_MODE_FILTER in seccomp(2), among them
	// SECCOMP_FILTER_FLAG_NEW_LISTENER, the best ones first: those are used that the kernel knows.
	Flags []uintptr
}

// gate is a Gate, with the two ends of the pipe that opens it.
type gate struct {
	paths             []string
	filter            *unix.SockFprog
	flags             []uintptr
	released, release int
}

// Gated is a program that waits behind its gate. The caller must call Release or Close, and wait
// for the process: wait(2).
type Gated struct {
	Pid      int
	Path     string // of the program
	Listener int    // the process's descriptor of the listener
	reports  int
	release  int
}

// StartGated is Start for a program that waits behind a gate until Release. The command must have a
// Place. Unprepared means that the program cannot be found, or the filter not be installed; the
// error says only which.
func (c *Command) StartGated(g Gate) (_ *Gated, unprepared bool, err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return nil, false, os.NewSyscallError("pipe2", err)
	}
	defer unix.Close(p[0])
	pid, reports, err := c.start(&gate{paths: g.Paths, filter: g.Filter, flags: g.Flags, released: p[0], release: p[1]})
	if err != nil {
		unix.Close(p[1])
		return nil, false, err
	}
	started := &Gated{Pid: pid, reports: reports, release: p[1]}
	r, ok, err := readReport(reports)
	if !ok || r.step != stepGated {
		if !ok && err == nil {
			err = fmt.Errorf("starting %s: the process was killed", c.Args[0])
		}
		started.Close()
		return nil, err == nil && (r.step == stepFind || r.step == stepFilter), c.failed(pid, r, err)
	}
	started.Path, started.Listener = g.Paths[r.path], int(r.value)
	return started, false, nil
}

// Release lets the program begin. If it cannot be executed, the error is the errno of execve(2), and
// the process ends.
func (g *Gated) Release() error {
	defer g.Close()
	if _, err := unix.Write(g.release, []byte{0}); err != nil {
		return os.NewSyscallError("write", err)
	}
	r, ok, err := readReport(g.reports)
	if ok {
		err = syscall.Errno(r.value)
	}
	return err
}

// Close closes the gate for ever: the process ends, unless it has been released.
func (g *Gated) Close() {
	unix.Close(g.release)
	unix.Close(g.reports)
}
