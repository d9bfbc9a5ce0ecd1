// Package helper runs processes that do jobs with files of images as root of a user namespace, or
// as root of the caller's.
//
// The jobs and their results are JSON. What they are is up to the caller, whose main function
// calls that of the process if argv[0] is its name.
package helper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// The descriptors that the process inherits, besides the standard streams.
const (
	FDJobs = 3 + iota
	FDResults
	FDLock
)

// Process is a running process.
type Process struct {
	cmd     *exec.Cmd
	jobs    *os.File
	results *os.File
	decoder *json.Decoder
}

// Start starts the calling program anew as a process with the arguments argv, which inherits the
// file lock. Native means that no records are needed (isolation.Mode.NativeOwners): then the process
// stays in the user namespace of the caller. To says what it is for, after "creating a user namespace to".
// The caller must call Close in the end.
func Start(argv []string, lock *os.File, native bool, to string) (*Process, error) {
	jobsRead, jobsWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer jobsRead.Close()
	resultsRead, resultsWrite, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, jobsWrite.Close())
	}
	defer resultsWrite.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = argv
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{jobsRead, resultsWrite, lock}
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if !native {
		cmd.SysProcAttr = userns.NewProcAttr(unix.CLONE_NEWNS)
	}
	// The terminal must not interrupt it before its parent, which cleans up.
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		if errno := syscall.Errno(0); errors.As(err, &errno) {
			err = errno
		}
		err = userns.Explain(fmt.Errorf("creating a user namespace to %s: %w", to, err))
		return nil, errors.Join(err, jobsWrite.Close(), resultsRead.Close())
	}
	return &Process{cmd, jobsWrite, resultsRead, json.NewDecoder(resultsRead)}, nil
}

// Send sends a job. An error means that the process has ended.
func (p *Process) Send(job any) error { return json.NewEncoder(p.jobs).Encode(job) }

// Receive waits for the next result of a job. An error means that the process has ended.
func (p *Process) Receive(result any) error { return p.decoder.Decode(result) }

// Cancel makes the process end soon, and its current job fail. It may be called at any time, and
// again.
func (p *Process) Cancel() {
	for _, c := range []io.Closer{p.jobs, p.results} {
		c.Close()
	}
}

// Close ends the process.
func (p *Process) Close() error {
	p.Cancel()
	err := p.cmd.Wait()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return nil // it has reported why
	}
	return err
}

// OpenOwners opens the store of records, with the default sidecar, in the process. It is nil if
// native says that no records are needed.
func OpenOwners(native bool) (*owner.Store, error) {
	if native {
		return nil, nil
	}
	dir, err := owner.DefaultSidecar()
	if err != nil {
		return nil, err
	}
	sidecar, err := owner.OpenSidecar(dir)
	if err != nil {
		return nil, fmt.Errorf("the sidecar: %w", err)
	}
	return owner.NewStore(owner.ID{}, sidecar), nil
}

// Explain adds to an error of writing to the store in dir what the user can do.
func Explain(err error, dir string) error {
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("%w: no space is left below %s; subuidless prune removes what is not needed, and --root or XDG_DATA_HOME choose another directory", err, dir)
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("%w: %s", err, dir)
	}
	return err
}
