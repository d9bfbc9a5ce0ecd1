package files

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// Name is argv[0] of the process: one with this name must call Main.
const Name = "subuidless-build-files"

// job is what the process has to do. Exactly one of the first fields is set.
type job struct {
	Hash   *Copy      `json:",omitempty"`
	Copy   *Copy      `json:",omitempty"`
	Change *Change    `json:",omitempty"`
	Tree   []string   `json:",omitempty"` // layers, the topmost first
	Dir    *directory `json:",omitempty"`

	Unpack  string `json:",omitempty"` // directory for the unpacked layer; empty: none
	Archive string `json:",omitempty"` // new file for the archive
}

// directory is a directory to create with an owner and a mode.
type directory struct {
	Path  string
	Owner Owner
	Mode  int64
}

// result is the last answer to a job.
type result struct {
	Warning string `json:",omitempty"` // not the last one
	Digest  string `json:",omitempty"`
	Layer   *Layer `json:",omitempty"`
	Error   string `json:",omitempty"`
}

// Process is a running process. Its methods may be called by several goroutines.
type Process struct {
	// Warn is called with messages for the user. It is not nil.
	Warn func(message string)

	mu      sync.Mutex // a job is running
	cmd     *exec.Cmd
	jobs    io.WriteCloser
	results *json.Decoder
	close   []io.Closer
}

// The descriptors that the process inherits, besides the standard streams.
const (
	fdJobs = 3 + iota
	fdResults
	fdLock
)

// Start starts a process. The caller holds the lock Use of the store, and calls Close.
// Supervised means that an outer supervisor stores owners: then the process stays in the user
// namespace of the caller.
func Start(use store.Lock, supervised bool) (_ *Process, err error) {
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
	cmd.Args = []string{Name, strconv.FormatBool(supervised)}
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{jobsRead, resultsWrite, use.File}
	// The terminal must not interrupt it before its parent, which cleans up.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if !supervised {
		cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWUSER | unix.CLONE_NEWNS
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		if errno := syscall.Errno(0); errors.As(err, &errno) {
			err = errno
		}
		err = userns.Explain(fmt.Errorf("creating a user namespace to copy files in: %w", err))
		return nil, errors.Join(err, jobsWrite.Close(), resultsRead.Close())
	}
	return &Process{
		Warn: func(string) {},
		cmd:  cmd, jobs: jobsWrite, results: json.NewDecoder(resultsRead),
		close: []io.Closer{jobsWrite, resultsRead},
	}, nil
}

// Hash returns a digest of what Copy would copy: of everything except times.
func (p *Process) Hash(c *Copy) (string, error) {
	r, err := p.do(job{Hash: c})
	return r.Digest, err
}

// Copy makes the layer c: as the new file archive, and unpacked in the empty directory unpack.
func (p *Process) Copy(c *Copy, archive, unpack string) (*Layer, error) {
	r, err := p.do(job{Copy: c, Archive: archive, Unpack: unpack})
	return r.Layer, err
}

// Change makes the layer c: as the new file archive, and, if
// unpack is not empty, unpacked in that empty directory.
func (p *Process) Change(c *Change, archive, unpack string) (*Layer, error) {
	r, err := p.do(job{Change: c, Archive: archive, Unpack: unpack})
	return r.Layer, err
}

// Tree writes the tree of layers, the topmost first, as the new file archive, which is not
// compressed.
func (p *Process) Tree(layers []string, archive string) error {
	_, err := p.do(job{Tree: layers, Archive: archive})
	return err
}

// Dir gives the directory path, which is the caller's, an owner and a mode.
func (p *Process) Dir(path string, o Owner, mode int64) error {
	_, err := p.do(job{Dir: &directory{path, o, mode}})
	return err
}

// do has the process do a job, and waits until it is done.
func (p *Process) do(j job) (result, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := json.NewEncoder(p.jobs).Encode(j); err != nil {
		return result{}, ended(err)
	}
	for {
		var r result
		if err := p.results.Decode(&r); err != nil {
			return result{}, ended(err)
		}
		switch {
		case r.Error != "":
			return result{}, errors.New(r.Error)
		case r.Warning != "":
			p.Warn(r.Warning)
		default:
			return r, nil
		}
	}
}

func ended(err error) error {
	return fmt.Errorf("the process that copies files has ended: %w", err)
}

// Cancel makes the process end soon, and its current job fail. It may be called at any time.
func (p *Process) Cancel() {
	for _, c := range p.close {
		c.Close()
	}
}

// Close ends the process.
func (p *Process) Close() error {
	p.Cancel()
	err := p.cmd.Wait()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return nil // its parent knows why
	}
	return err
}
