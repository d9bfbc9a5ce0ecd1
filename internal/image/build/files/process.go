package files

import (
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/rootless-containers/subuidless/internal/image/helper"
	"github.com/rootless-containers/subuidless/internal/image/store"
)

// Name is argv[0] of the process: one with this name must call Main.
const Name = "subuidless-image-build-files"

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
	// Canceled returns why the process has been canceled, or nil. It is not nil.
	Canceled func() error

	mu sync.Mutex // a job is running
	*helper.Process
}

// Start starts a process for the store s. The caller holds the lock s.Use, and calls Close.
// Native means that no records are needed: see helper.Start.
func Start(s *store.Store, use store.Lock, native bool) (*Process, error) {
	p, err := helper.Start([]string{Name, s.Dir, strconv.FormatBool(native)}, use.File, native, "copy files in")
	if err != nil {
		return nil, err
	}
	return &Process{Warn: func(string) {}, Canceled: func() error { return nil }, Process: p}, nil
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
	if err := p.Send(j); err != nil {
		return result{}, p.ended(err)
	}
	for {
		var r result
		if err := p.Receive(&r); err != nil {
			return result{}, p.ended(err)
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

// ended returns why the process has ended; err is what the caller has noticed of it.
func (p *Process) ended(err error) error {
	if cause := p.Canceled(); cause != nil {
		return cause
	}
	return fmt.Errorf("the process that copies files has ended: %w", err)
}
