// Package unpack unpacks layers into a store, in a process of its own.
//
// The process is this program again, in a user namespace that maps the caller's id to root:
// see package layer for why. It inherits the lock of the store, and takes and releases the
// locks of layers, so that its parent may be killed at any time. Parent and process exchange
// lines of JSON.
package unpack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// Name is argv[0] of the process: one with this name must call Main.
const Name = "subuidless-unpack"

// job is what the process has to do. Exactly one field is set.
type job struct {
	Layer  *layerJob `json:",omitempty"` // unpack the layer on top of the previous ones
	Commit bool      `json:",omitempty"` // make the layers those of the store
	Merge  *mergeJob `json:",omitempty"`
	Probe  string    `json:",omitempty"` // try overlayfs in this empty directory
}

type layerJob struct {
	ID     string  // of the unpacked layer
	Blob   string  // path of the compressed layer
	DiffID v1.Hash // digest of the uncompressed one
}

type mergeJob struct {
	Layers []string // paths, the topmost first
	To     string   // an empty directory
}

// event is what the process reports.
type event struct {
	Read    int64  `json:",omitempty"` // bytes of compressed layers that it has read since
	Warning string `json:",omitempty"`
	Done    bool   `json:",omitempty"` // the job is done
	Error   string `json:",omitempty"` // the job has failed, and the process ends
}

// Process is a running process.
type Process struct {
	// Progress is called with the number of bytes of a compressed layer that have been read
	// since the last call, and Warn with messages for the user. Neither is nil.
	Progress func(int64)
	Warn     func(message string)

	cmd    *exec.Cmd
	jobs   io.WriteCloser
	events *json.Decoder
	close  []io.Closer
}

// The descriptors that the process inherits, besides the standard streams.
const (
	fdJobs = 3 + iota
	fdEvents
	fdLock
)

// Start starts a process that works on the store s. The caller holds its lock Use.
// The caller must call Close in the end. Supervised means that an outer supervisor stores the
// owners of what is unpacked: then the process stays in the user namespace of the caller.
func Start(s *store.Store, use store.Lock, supervised bool) (_ *Process, err error) {
	jobsRead, jobsWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer jobsRead.Close()
	eventsRead, eventsWrite, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, jobsWrite.Close())
	}
	defer eventsWrite.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{Name, s.Dir, strconv.FormatBool(supervised)}
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{jobsRead, eventsWrite, use.File}
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
		err = userns.Explain(fmt.Errorf("creating a user namespace to unpack layers in: %w", err))
		return nil, errors.Join(err, jobsWrite.Close(), eventsRead.Close())
	}
	return &Process{
		Progress: func(int64) {}, Warn: func(string) {},
		cmd: cmd, jobs: jobsWrite, events: json.NewDecoder(eventsRead),
		close: []io.Closer{jobsWrite, eventsRead},
	}, nil
}

// Layer unpacks a layer, with the blob and diffID of the image, on top of those that this
// process has unpacked before.
func (p *Process) Layer(id, blob string, diffID v1.Hash) error {
	return p.do(job{Layer: &layerJob{ID: id, Blob: blob, DiffID: diffID}})
}

// Commit makes the unpacked layers those of the store. Without it, they vanish.
func (p *Process) Commit() error { return p.do(job{Commit: true}) }

// Merge copies the layers at these paths, the topmost first, into the empty directory to.
func (p *Process) Merge(layers []string, to string) error {
	return p.do(job{Merge: &mergeJob{Layers: layers, To: to}})
}

// Probe returns an error unless overlayfs can be used on the file system of the empty directory
// dir. It leaves files in it.
func (p *Process) Probe(dir string) error { return p.do(job{Probe: dir}) }

// do has the process do a job, and waits until it is done.
func (p *Process) do(j job) error {
	if err := json.NewEncoder(p.jobs).Encode(j); err != nil {
		return p.ended(err)
	}
	for {
		var e event
		if err := p.events.Decode(&e); err != nil {
			return p.ended(err)
		}
		switch {
		case e.Error != "":
			return errors.New(e.Error)
		case e.Warning != "":
			p.Warn(e.Warning)
		case e.Done:
			return nil
		default:
			p.Progress(e.Read)
		}
	}
}

func (p *Process) ended(err error) error {
	return fmt.Errorf("the process that unpacks layers has ended: %w", err)
}

// Cancel makes the process end soon, and its current job fail. It may be called at any time.
func (p *Process) Cancel() {
	for _, c := range p.close {
		c.Close()
	}
}

// Close ends the process. What it has unpacked and not committed vanishes.
func (p *Process) Close() error {
	p.Cancel()
	err := p.cmd.Wait()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return nil // it has reported why
	}
	return err
}
