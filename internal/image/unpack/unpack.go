// Package unpack unpacks layers into a store, in a process of its own.
//
// The process is this program again, in a user namespace that maps the caller's id to root:
// see package layer for why. It inherits the lock of the store, and takes and releases the
// locks of layers, so that its parent may be killed at any time. Parent and process exchange
// lines of JSON.
package unpack

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/rootless-containers/subuidless/internal/image/helper"
	"github.com/rootless-containers/subuidless/internal/image/store"
)

// Name is argv[0] of the process: one with this name must call Main.
const Name = "subuidless-image-unpack"

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

	*helper.Process
}

// Start starts a process that works on the store s. The caller holds its lock Use.
// The caller must call Close in the end: what has been unpacked and not committed then vanishes.
// Native means that no records are needed: see helper.Start.
func Start(s *store.Store, use store.Lock, native bool) (*Process, error) {
	argv := []string{Name, s.Dir, strconv.FormatBool(native)}
	p, err := helper.Start(argv, use.File, native, "unpack layers in")
	if err != nil {
		return nil, err
	}
	return &Process{Progress: func(int64) {}, Warn: func(string) {}, Process: p}, nil
}

// Layer unpacks a layer, with the blob and diffID of the image, on top of those that this
// process has unpacked before.
func (p *Process) Layer(id, blob string, diffID v1.Hash) error {
	return p.do(job{Layer: &layerJob{ID: id, Blob: blob, DiffID: diffID}})
}

// Commit makes the unpacked layers those of the store. Without it, they vanish.
func (p *Process) Commit() error { return p.do(job{Commit: true}) }

// Merge copies the layers at these paths, the topmost first, into the empty directory to, in a
// process of its own: see Start. It fails when ctx ends, and may then leave files.
func Merge(ctx context.Context, s *store.Store, use store.Lock, native bool, layers []string, to string) error {
	p, err := Start(s, use, native)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, p.Cancel)
	err = p.do(job{Merge: &mergeJob{Layers: layers, To: to}})
	stop()
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return errors.Join(err, p.Close())
}

// Probe returns an error unless overlayfs can be used on the file system of the empty directory
// dir. It leaves files in it.
func (p *Process) Probe(dir string) error { return p.do(job{Probe: dir}) }

// do has the process do a job, and waits until it is done.
func (p *Process) do(j job) error {
	if err := p.Send(j); err != nil {
		return ended(err)
	}
	for {
		var e event
		if err := p.Receive(&e); err != nil {
			return ended(err)
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

func ended(err error) error {
	return fmt.Errorf("the process that unpacks layers has ended: %w", err)
}
