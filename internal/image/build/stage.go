package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/rootless-containers/subuidless/internal/image/build/dockerfile"
	"github.com/rootless-containers/subuidless/internal/image/build/files"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/image/transfer"
)

// stage returns the state after the last instruction of a stage. Its first caller builds it;
// others wait. An error ends the whole build.
func (t *target) stage(ctx context.Context, cancel context.CancelCauseFunc, s *dockerfile.Stage) (*state, error) {
	return t.stages.get(s, func() (*state, error) {
		built, err := t.buildStage(ctx, cancel, s)
		if err != nil {
			cancel(err)
		}
		return built, err
	})
}

// stageBuilder builds one stage.
type stageBuilder struct {
	*target
	cancel context.CancelCauseFunc
	stage  *dockerfile.Stage
	files  *files.Process
	state  *state
}

func (t *target) buildStage(ctx context.Context, cancel context.CancelCauseFunc, s *dockerfile.Stage) (_ *state, err error) {
	// Stages that this one uses do not depend on it: they can begin now.
	for _, r := range s.Refs() {
		if r.Stage != nil {
			t.ahead.Go(func() { _, _ = t.stage(ctx, cancel, r.Stage) }) // whoever needs it gets the error
		}
	}
	base, err := t.ref(ctx, cancel, s.Base, s.Platform)
	if err != nil {
		if s.Base.Stage == nil {
			err = t.at(s.Line, err)
		}
		return nil, err
	}
	result, err := s.Evaluate(base.base)
	if err != nil {
		return nil, err
	}
	process, stop, err := t.startFiles(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	k := &stageBuilder{target: t, cancel: cancel, stage: s, files: process, state: base}
	total := 1
	for i := range result.Steps {
		if result.Steps[i].HasLayer() {
			total++
		}
	}
	number := 1
	for i := range result.Steps {
		step := &result.Steps[i]
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		var title string
		if step.HasLayer() {
			number++
			title = fmt.Sprintf("%d/%d] %s", number, total, step.Text)
			if name := s.Title(); name != "" {
				title = name + " " + title
			}
			if len(t.targets) > 1 {
				title = t.platform + " " + title
			}
			title = "[" + title
		}
		if err := k.step(ctx, step, title); err != nil {
			return nil, t.at(step.Line, err)
		}
	}
	after := *k.state
	after.base = result.After
	return &after, nil
}

// at returns err with a line of the Dockerfile, unless it has one or the build has been cancelled.
func (b *builder) at(line int, err error) error {
	if errors.As(err, new(*dockerfile.Error)) || errors.Is(err, context.Canceled) {
		return err
	}
	return &dockerfile.Error{File: b.source.name, Line: line, Err: err}
}

// step executes a step, unless its layer is cached.
func (k *stageBuilder) step(ctx context.Context, step *dockerfile.Step, title string) error {
	made := &store.CachedLayer{Empty: true}
	next := *k.state
	if step.HasLayer() {
		var err error
		var chain string
		if made, chain, err = k.layer(ctx, step, title); err != nil {
			return err
		}
		next = *k.state.with(made)
		next.created, next.chain = &made.Created, chain
	}
	next.history = append(next.history[:len(next.history):len(next.history)], ocispec.History{
		Created: k.time(next.created), CreatedBy: step.History, Comment: historyComment, EmptyLayer: made.Empty,
	})
	k.state = &next
	return nil
}

// time returns when something was made whose topmost layer was made at the time t. So an image whose
// layers are all cached is the same one again.
func (b *builder) time(t *time.Time) *time.Time {
	if t == nil || !b.epoch.IsZero() {
		return &b.created
	}
	return t
}

// historyComment says in the history of images which program has made them.
const historyComment = "subuidless.build"

// layer returns the layer of a step, and shows the step. Stages of the same build, also for several
// platforms, that have the same steps get one that only the first of them makes. Chain is that of the
// state after the step.
func (k *stageBuilder) layer(ctx context.Context, step *dockerfile.Step, title string) (made *store.CachedLayer, chain string, err error) {
	var maker layerMaker
	switch {
	case step.Run != nil:
		maker, err = k.newRun(ctx, step.Run)
	case step.Copy != nil:
		maker, err = k.newCopy(ctx, step.Copy)
	default:
		maker, err = k.newWorkdir(ctx, step.Workdir)
	}
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, maker.close()) }()
	key := k.key(maker)
	sum := sha256.Sum256([]byte(k.state.chain + key))
	chain = hex.EncodeToString(sum[:])
	shared := true
	made, err = k.layers.get(chain, func() (*store.CachedLayer, error) {
		shared = false
		return k.findOrMake(ctx, maker, key, title)
	})
	if shared && err == nil {
		k.Progress.Start(title).Cached()
	}
	return made, chain, err
}

// findOrMake returns the layer with this key, from the cache if it may.
func (k *stageBuilder) findOrMake(ctx context.Context, maker layerMaker, key, title string) (made *store.CachedLayer, err error) {
	if !k.NoCache {
		cached, err := k.cached(ctx, key)
		if err != nil {
			return nil, err
		}
		if cached != nil {
			k.Progress.Start(title).Cached()
			k.noteUsed(key, cached)
			return cached, nil
		}
	}
	select {
	case k.slots <- struct{}{}:
		defer func() { <-k.slots }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	shown := k.Progress.Start(title)
	defer func() { shown.Done(err) }()
	if err := k.unpack(ctx, k.state); err != nil {
		return nil, err
	}
	if made, err = maker.make(ctx, shown); err != nil {
		return nil, err
	}
	if err := k.store.PutCachedLayer(key, made); err != nil {
		return nil, err
	}
	k.noteUsed(key, made)
	return made, nil
}

// layerMaker makes the layer of one step.
type layerMaker interface {
	// inputs is what the layer depends on, besides the layers below: a value for JSON.
	inputs() any
	make(ctx context.Context, out output) (*store.CachedLayer, error)
	close() error
}

// output receives the output of a step.
type output interface {
	Write(b []byte) (int, error)
	Last() []string
}

// key returns the key of a layer in the cache: a digest of everything that it depends on.
func (k *stageBuilder) key(maker layerMaker) string {
	b, err := json.Marshal(struct {
		Version int
		Below   []v1.Hash
		Epoch   int64
		Inputs  any
	}{cacheVersion, k.state.diffIDs, k.epoch.Unix(), maker.inputs()})
	if err != nil {
		panic(err) // a mistake of this package: the inputs are plain data
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// cacheVersion changes when the same inputs give another layer.
const cacheVersion = 1

// ref returns what r names. Platform is that of an image; empty means that of the build.
func (t *target) ref(ctx context.Context, cancel context.CancelCauseFunc, r dockerfile.Ref, platform string) (*state, error) {
	if platform == "" {
		platform = t.platform
	}
	named := t.Contexts.find(r.Context)
	switch {
	case r.Stage != nil:
		return t.stage(ctx, cancel, r.Stage)
	case r.Scratch():
		return scratch(platform)
	case named.Image != "":
		r.Image = named.Image
	}
	if r.Image == "" {
		return t.images.get(named.Dir+" as a base "+platform, func() (*state, error) { return t.directoryState(ctx, r.Context, platform) })
	}
	return t.images.get(r.Image+" "+platform, func() (*state, error) { return t.image(ctx, r.Image, platform) })
}

// scratch returns the state of an empty image.
func scratch(platform string) (*state, error) {
	target, _, err := parsePlatform(platform)
	s := new(state)
	s.base.Image.Config.WorkingDir = "/"
	s.base.Image.Platform = target
	s.base.Image.RootFS.Type = "layers"
	return s, err
}

// image returns the state of an image, which it pulls if needed.
func (b *builder) image(ctx context.Context, name, platform string) (_ *state, err error) {
	shown := b.Progress.Start("[internal] load image " + name)
	defer func() { shown.Done(err) }()
	o := b.Transfer
	o.Platform, o.Warn, o.Beside = platform, b.warn, true
	i, err := transfer.FindOrPull(ctx, b.store, name, b.Pull, o)
	if err != nil {
		return nil, err
	}
	raw, err := b.store.ReadBlob(i.ID())
	if err != nil {
		return nil, err
	}
	s := &state{layers: i.Manifest.Layers, diffIDs: i.Config.RootFS.DiffIDs}
	if err := json.Unmarshal(raw, &s.base.Image); err != nil {
		return nil, fmt.Errorf("image %s: its configuration: %w", name, err)
	}
	s.history, s.created = s.base.Image.History, s.base.Image.Created
	s.based.layers, s.based.history = len(s.layers), len(s.history)
	return s, nil
}
