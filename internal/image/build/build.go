// Package build builds images from Dockerfiles.
//
// Package dockerfile evaluates instructions, package files makes the layers of COPY, ADD and
// WORKDIR, and this package runs RUN in containers, finds what is cached, and assembles images.
package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/rootless-containers/subuidless/internal/image/build/dockerfile"
	"github.com/rootless-containers/subuidless/internal/image/build/files"
	"github.com/rootless-containers/subuidless/internal/image/build/progress"
	"github.com/rootless-containers/subuidless/internal/image/container"
	"github.com/rootless-containers/subuidless/internal/image/layer"
	"github.com/rootless-containers/subuidless/internal/image/reference"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/image/transfer"
	"github.com/rootless-containers/subuidless/internal/isolation"
	"github.com/rootless-containers/subuidless/internal/program"
	"github.com/rootless-containers/subuidless/internal/statistics"
	"github.com/rootless-containers/subuidless/internal/supervisor"
)

// Options are the options of Build.
type Options struct {
	Context     string   // directory or git repository; "-": an archive, or a Dockerfile, on the standard input
	Contexts    Contexts // others, by their names
	Dockerfile  string   // path; "-": the standard input; empty: see findDockerfile
	Target      string
	Args        map[string]string
	Labels      map[string]string
	Annotations map[string]string // of the manifest
	OfIndex     map[string]string // annotations of the index, if there are several platforms
	Names       []string          // complete names for the image; none: it is dangling
	Manifest    string            // complete name of an index to add the image to; empty: none
	Platforms   []string          // OS/ARCH[/VARIANT], each once; none: that of this machine. Several: they get an index
	Secrets     map[string]Secret
	Agents      map[string]string   // paths of sockets of ssh-agent(1), by their ids
	Keys        map[string][]string // paths of private keys, for agents of the build, by their ids
	NoCache     bool
	CacheFrom   []Cache
	CacheTo     *Cache   // nil: none
	Squash      bool     // make one layer of those that the build adds
	Pull        string   // transfer.PullMissing, PullAlways or PullNever, for base images
	Network     string   // of RUN without one of its own: dockerfile's default, none or host
	Hosts       []string // further lines of RUN's /etc/hosts, as launch.ParseHost returns them
	Limits      []string // resource limits of RUN, as launch.ParseLimit returns them
	ShmSize     int64    // of /dev/shm of RUN: see launch.RunOptions
	Driver      container.Driver
	Outputs     []Output // where to write the image, besides the store
	Push        bool     // push the image by its names

	Lint func(dockerfile.Warning) // reports what the rules of BuildKit's linter say; nil: as Progress

	// Counted, if not nil, is called with the notifications of each RUN that ran under a supervisor,
	// also of several at once.
	Counted func([]statistics.Named)

	Main       program.Main // runs the containers of RUN
	Supervisor supervisor.Config
	Progress   *progress.Display
	Transfer   transfer.Options // how base images are pulled
}

// builder is a build that is running.
type builder struct {
	*Options
	store   *store.Store
	use     store.Lock
	tmp     string // directory for files of the build
	targets []*target
	source  *source
	epoch   time.Time // SOURCE_DATE_EPOCH, or zero
	created time.Time // the time of everything that the build makes
	slots   chan struct{}
	used    usedSteps

	imported []*importedCache // of CacheFrom
	ahead    sync.WaitGroup   // stages that are built before they are needed

	layers once[string, *store.CachedLayer] // by the chains of their states
	images once[string, *state]
	trees  once[string, *files.Tree] // of Contexts
	linted once[dockerfile.Warning, struct{}]
}

// target is what is built for one platform.
type target struct {
	*builder
	platform string // as in Options, or empty
	file     *dockerfile.File
	stages   once[*dockerfile.Stage, *state]
	checked  once[*dockerfile.Stage, *dockerfile.Base]
}

// once makes each value once for all that need it. The zero value has made none.
type once[K comparable, V any] struct {
	mu    sync.Mutex
	calls map[K]func() (V, error)
}

// get returns what make returns the first time that it is called for the key.
func (o *once[K, V]) get(key K, make func() (V, error)) (V, error) {
	o.mu.Lock()
	call := o.calls[key]
	if call == nil {
		call = sync.OnceValues(make)
		if o.calls == nil {
			o.calls = map[K]func() (V, error){}
		}
		o.calls[key] = call
	}
	o.mu.Unlock()
	return call()
}

// state is a file system, and what the image that has it says.
type state struct {
	base    dockerfile.Base
	layers  []v1.Descriptor
	diffIDs []v1.Hash
	history []ocispec.History
	chain   string                        // differs for states that different steps have made
	created *time.Time                    // of the topmost layer; nil: unknown
	based   struct{ layers, history int } // how many of these are those of the base image
}

// Check reports to o.Lint what the rules of BuildKit's linter say about the Dockerfile. It returns an
// error if the Dockerfile has one that can be seen without executing it. Of base images that the store
// does not have, it fetches the configuration only.
func Check(ctx context.Context, s *store.Store, o Options) (err error) {
	b, closeBuilder, err := newBuilder(s, &o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeBuilder()) }()
	if err := b.load(ctx); err != nil {
		return err
	}
	for _, t := range b.targets {
		if _, err := t.check(ctx, t.file.Target); err != nil {
			return err
		}
	}
	return nil
}

// newBuilder returns a builder, which the caller closes.
func newBuilder(s *store.Store, o *Options) (b *builder, closeBuilder func() error, err error) {
	b = &builder{Options: o, store: s, slots: make(chan struct{}, max(2, runtime.NumCPU()))}
	if b.Lint == nil {
		b.Lint = func(w dockerfile.Warning) {
			b.warn(fmt.Sprintf("%s:%d: %s: %s", w.File, w.Line, w.Rule, w.Message))
		}
	}
	if b.use, err = s.Use(); err != nil {
		return nil, nil, err
	}
	if b.tmp, err = os.MkdirTemp(s.TempDir(), "build-"); err != nil {
		b.use.Unlock()
		return nil, nil, err
	}
	return b, func() error {
		err := layer.RemoveAll(b.tmp)
		b.use.Unlock()
		return err
	}, nil
}

// Build builds an image and returns it.
func Build(ctx context.Context, s *store.Store, o Options) (_ *store.Image, err error) {
	b, closeBuilder, err := newBuilder(s, &o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeBuilder()) }()
	stopAgents, err := b.startAgents()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stopAgents()) }()
	if err := b.load(ctx); err != nil {
		return nil, err
	}
	if err := b.importCaches(ctx); err != nil {
		return nil, err
	}
	states, err := b.build(ctx)
	if err != nil {
		return nil, err
	}
	image, err := b.exportAll(ctx, states)
	if err != nil {
		return nil, err
	}
	if len(o.Outputs) > 0 {
		for _, built := range states {
			if err := b.unpack(ctx, built); err != nil {
				return nil, err
			}
		}
	}
	for i := range o.Outputs {
		if err := o.Outputs[i].write(ctx, s, b.use, image); err != nil {
			return nil, err
		}
	}
	if err := b.exportCache(ctx, image); err != nil {
		return nil, err
	}
	if o.Push {
		if err := b.push(ctx, image); err != nil {
			return nil, err
		}
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return image, b.tag(image)
}

// build builds the target stage of each platform, all at the same time.
func (b *builder) build(ctx context.Context) ([]*state, error) {
	// The first error ends everything that runs.
	ctx, cancel := context.WithCancelCause(ctx)
	defer func() {
		cancel(nil)
		b.ahead.Wait()
	}()
	states, errs := make([]*state, len(b.targets)), make([]error, len(b.targets))
	var all sync.WaitGroup
	for i, t := range b.targets {
		all.Go(func() { states[i], errs[i] = t.stage(ctx, cancel, t.file.Target) })
	}
	all.Wait()
	for _, err := range errs {
		if cause := context.Cause(ctx); err != nil && cause != nil {
			err = cause
		}
		if err != nil {
			return nil, err
		}
	}
	return states, nil
}

// push pushes an image by each of its names.
func (b *builder) push(ctx context.Context, image *store.Image) error {
	for _, name := range b.Names {
		to, err := reference.Parse(name, nil)
		if err != nil {
			return err
		}
		shown := b.Progress.Start("[internal] push " + name)
		err = transfer.Push(ctx, b.store, image, to, b.Transfer)
		shown.Done(err)
		if err != nil {
			return err
		}
	}
	return nil
}

// load reads the context and the Dockerfile.
func (b *builder) load(ctx context.Context) (err error) {
	if b.source, err = b.openSource(ctx); err != nil {
		return err
	}
	platforms := b.Platforms
	if len(platforms) == 0 {
		platforms = []string{""}
	}
	for i, text := range platforms {
		platform, build, err := parsePlatform(text)
		if err != nil {
			return err
		}
		t := &target{builder: b, platform: text}
		o := dockerfile.Options{
			Name: b.source.name, Args: b.Args, Target: b.Target, Platform: platform, Build: build, HasContext: b.Contexts.has,
			Warn: b.warn, Lint: b.lintOnce, Ignore: b.source.ignore,
		}
		if i > 0 {
			o.Warn = func(string) {} // the first one has warned
		}
		if t.file, err = dockerfile.Parse(b.source.dockerfile, o); err != nil {
			return err
		}
		b.targets = append(b.targets, t)
	}
	b.created = time.Now().UTC()
	if text, ok := b.targets[0].file.Epoch(); ok {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seconds < 0 {
			return fmt.Errorf("SOURCE_DATE_EPOCH=%s: must be a number of seconds since 1970", text)
		}
		b.epoch = time.Unix(seconds, 0).UTC()
		b.created = b.epoch
	}
	return nil
}

// lintOnce reports what the linter says, for all platforms once.
func (b *builder) lintOnce(w dockerfile.Warning) {
	_, _ = b.linted.get(w, func() (struct{}, error) {
		b.Lint(w)
		return struct{}{}, nil
	})
}

func (b *builder) warn(message string) { b.Progress.Message("warning: " + message) }

// parsePlatform returns the platform that text names, and that of this machine.
func parsePlatform(text string) (target, machine ocispec.Platform, err error) {
	machine = ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH}
	if text == "" {
		return machine, machine, nil
	}
	p, err := v1.ParsePlatform(text)
	if err != nil || p.OS != "linux" || p.Architecture == "" {
		return machine, machine, fmt.Errorf("--platform=%s: must be linux/ARCH or linux/ARCH/VARIANT", text)
	}
	return ocispec.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}, machine, nil
}

// startFiles starts a process that copies files. The caller closes it.
func (b *builder) startFiles(ctx context.Context) (*files.Process, func() error, error) {
	p, err := files.Start(b.store, b.use, isolation.Current().NativeOwners())
	if err != nil {
		return nil, nil, err
	}
	p.Warn, p.Canceled = b.warn, func() error { return context.Cause(ctx) }
	stop := context.AfterFunc(ctx, p.Cancel)
	return p, func() error {
		stop()
		return p.Close()
	}, nil
}

// newLayer adds a layer that a process of package files has made to the store: the archive, and
// the unpacked directory. It removes neither of them on errors.
func (b *builder) newLayer(st *state, made *files.Layer, archive, unpacked string) (*store.CachedLayer, error) {
	if made.DiffID == emptyLayer {
		return &store.CachedLayer{Empty: true, Created: b.created}, nil
	}
	c := &store.CachedLayer{Created: b.created}
	var err error
	if c.DiffID, err = v1.NewHash(made.DiffID); err != nil {
		return nil, err
	}
	c.Layer = v1.Descriptor{MediaType: layerType, Size: made.Size}
	if c.Layer.Digest, err = v1.NewHash(made.Digest); err != nil {
		return nil, err
	}
	if err := b.store.AdoptBlob(archive, c.Layer.Digest); err != nil {
		return nil, err
	}
	return c, b.store.AdoptLayer(st.with(c).id(), unpacked)
}

// emptyLayer is the digest of an archive without entries: two blocks of zeros.
const emptyLayer = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"

// with returns the state with one more layer.
func (s *state) with(c *store.CachedLayer) *state {
	next := *s
	if !c.Empty {
		next.layers = append(next.layers[:len(next.layers):len(next.layers)], c.Layer)
		next.diffIDs = append(next.diffIDs[:len(next.diffIDs):len(next.diffIDs)], c.DiffID)
	}
	return &next
}

// id returns the id of the topmost unpacked layer, or "" if there is none.
func (s *state) id() string {
	ids := store.LayerIDs(s.diffIDs)
	if len(ids) == 0 {
		return ""
	}
	return ids[len(ids)-1]
}

// paths returns the paths of the unpacked layers, the topmost first.
func (b *builder) paths(s *state) []string {
	var all []string
	for _, id := range s.ids() {
		all = append(all, b.store.LayerPath(id))
	}
	return all
}

// ids returns the ids of the unpacked layers, the topmost first.
func (s *state) ids() []string {
	image := &store.Image{}
	image.Config.RootFS.DiffIDs = s.diffIDs
	return image.Layers()
}

// unpack unpacks those layers of s that are not unpacked.
func (b *builder) unpack(ctx context.Context, s *state) error {
	image := &store.Image{Name: "of the build cache"}
	image.Manifest.Layers, image.Config.RootFS.DiffIDs = s.layers, s.diffIDs
	if len(s.layers) == 0 {
		return nil
	}
	o := b.Transfer
	o.Progress = transfer.NewProgress(os.Stderr, true)
	o.Warn = b.warn
	return transfer.Unpack(ctx, b.store, b.use, image, o)
}
