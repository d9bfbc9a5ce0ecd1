package unpack

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/helper"
	"github.com/rootless-containers/subuidless/internal/image/layer"
	"github.com/rootless-containers/subuidless/internal/image/overlay"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/owner"
)

// Main is the main function of the process. It ends when its parent closes the pipe of jobs.
func Main() int {
	var mu sync.Mutex
	events := json.NewEncoder(os.NewFile(helper.FDResults, "events"))
	report := func(e event) error {
		mu.Lock()
		defer mu.Unlock()
		return events.Encode(e)
	}
	if err := serve(os.Args[1], os.Args[2] == "true", os.NewFile(helper.FDJobs, "jobs"), report); err != nil {
		// If the parent is gone, the error cannot be reported.
		_ = report(event{Error: err.Error()})
		return 1
	}
	return 0
}

// unpacker does the jobs of one process.
type unpacker struct {
	store  *store.Store
	owners *owner.Store      // nil: no records are needed
	report func(event) error // sends an event to the parent; for several goroutines
	layers []*store.NewLayer // the bottom one first
	ended  chan struct{}     // closed when the parent has ended, or wants this process to
}

func serve(dir string, native bool, jobs io.Reader, report func(event) error) (err error) {
	unix.CloseOnExec(helper.FDLock)
	unix.Umask(0)
	// Package sys expects it.
	if err := os.Chdir("/proc"); err != nil {
		return err
	}
	u := &unpacker{store: &store.Store{Dir: dir}, report: report, ended: make(chan struct{})}
	if u.owners, err = helper.OpenOwners(native); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Abandon(u.layers)) }()
	for j := range u.receive(jobs) {
		if err := u.do(j); err != nil {
			return helper.Explain(err, dir)
		}
		if err := report(event{Done: true}); err != nil {
			return err
		}
	}
	return nil
}

// receive returns the jobs.
func (u *unpacker) receive(from io.Reader) <-chan job {
	jobs := make(chan job)
	go func() {
		defer close(jobs)
		merging := false
		for d := json.NewDecoder(from); ; {
			var j job
			if d.Decode(&j) != nil {
				close(u.ended)
				if merging {
					os.Exit(1) // the parent removes the copy
				}
				return
			}
			merging = j.Merge != nil
			jobs <- j
		}
	}()
	return jobs
}

// unlessEnded is the content of a layer, and fails when the process is to end.
type unlessEnded struct {
	io.Reader
	ended <-chan struct{}
}

func (r unlessEnded) Read(b []byte) (int, error) {
	select {
	case <-r.ended:
		return 0, errors.New("unpacking has been interrupted")
	default:
		return r.Reader.Read(b)
	}
}

func (u *unpacker) do(j job) error {
	switch {
	case j.Layer != nil:
		return u.layer(j.Layer)
	case j.Merge != nil:
		return layer.Merge(j.Merge.Layers, j.Merge.To)
	case j.Probe != "":
		return errors.Join(overlay.Probe(j.Probe), os.Chdir("/proc"))
	}
	err := u.store.Commit(u.layers)
	if err == nil {
		u.layers = nil
	}
	return err
}

// layer unpacks a layer on top of u.layers.
func (u *unpacker) layer(j *layerJob) error {
	blob, err := os.Open(j.Blob)
	if err != nil {
		return err
	}
	defer blob.Close()
	n, err := u.store.NewLayer(j.ID)
	if err != nil {
		return err
	}
	var lower []string
	for _, l := range slices.Backward(u.layers) {
		lower = append(lower, l.Path)
	}
	u.layers = append(u.layers, n)
	if n.Done {
		st, err := blob.Stat()
		if err != nil {
			return err
		}
		return u.report(event{Read: st.Size()})
	}
	sum := sha256.New()
	archive, err := openArchive(&progress{r: blob, report: u.report}, sum)
	if err != nil {
		return err
	}
	defer archive.Close()
	unpacker := &layer.Unpacker{Owners: u.owners, Limits: layer.DefaultLimits, Warn: func(message string) {
		_ = u.report(event{Warning: message}) // if the parent is gone, the next one ends this process
	}}
	if err := unpacker.Apply(n.Path, lower, unlessEnded{archive, u.ended}); err != nil {
		return err
	}
	// What follows the archive belongs to the digest, too.
	if _, err := io.Copy(io.Discard, archive); err != nil {
		return fmt.Errorf("reading the layer's archive: %w", err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != j.DiffID.Hex {
		return fmt.Errorf("layer %s: %w: its uncompressed content has sha256:%s", j.DiffID, store.ErrDigest, got)
	}
	return nil
}
