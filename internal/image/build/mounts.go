package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/rootless-containers/subuidless/internal/image/build/dockerfile"
	"github.com/rootless-containers/subuidless/internal/image/build/files"
	"github.com/rootless-containers/subuidless/internal/image/container"
	"github.com/rootless-containers/subuidless/internal/image/layer"
	"github.com/rootless-containers/subuidless/internal/image/overlay"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/image/unpack"
	"github.com/rootless-containers/subuidless/internal/isolation"
	"github.com/rootless-containers/subuidless/internal/launch"
)

// Secret is a secret of the user.
type Secret struct {
	File string // path; empty: see Value
	// Value is the content.
	Value []byte
}

// mountSource is where the content of a mount comes from.
type mountSource struct {
	tree    *state // layers; nil: the mount has no tree
	content string // digest of what the tree has
}

// mountSource prepares a mount: it builds or copies its source.
func (k *stageBuilder) mountSource(ctx context.Context, m *dockerfile.Mount) (*mountSource, error) {
	switch {
	case m.Type == dockerfile.MountSecret:
		if _, ok := k.Secrets[m.ID]; !ok && m.Required {
			return nil, fmt.Errorf("the secret %q is required; give it with --secret id=%s,src=FILE", m.ID, m.ID)
		}
		return new(mountSource), nil
	case m.Type == dockerfile.MountSSH:
		if _, ok := k.Agents[m.ID]; !ok && m.Required {
			return nil, fmt.Errorf("the agent %q is required; give it with --ssh %s", m.ID, m.ID)
		}
		return new(mountSource), nil
	case m.Type == dockerfile.MountTmpfs, m.Type == dockerfile.MountCache && m.From == nil:
		return new(mountSource), nil
	}
	if tree, err := k.directory(ctx, m.From); err != nil {
		return nil, err
	} else if tree != nil {
		return k.directorySource(ctx, tree, m.Source)
	}
	s, err := k.ref(ctx, k.cancel, *m.From, "")
	if err != nil {
		return nil, err
	}
	if err := k.unpack(ctx, s); err != nil {
		return nil, err
	}
	b, err := json.Marshal(s.diffIDs)
	return &mountSource{tree: s, content: string(b)}, err
}

// directorySource makes a layer of a path in a directory of the host.
func (k *stageBuilder) directorySource(ctx context.Context, tree *files.Tree, name string) (*mountSource, error) {
	dest := "/"
	if name != "/" {
		dest = name
	}
	empty := &stageBuilder{target: k.target, cancel: k.cancel, stage: k.stage, files: k.files, state: new(state)}
	m := &copyMaker{k: empty, copy: files.Copy{Dest: dest, Sources: []files.Source{{Path: name, Tree: tree}}}}
	if err := m.prepare(ctx, ""); err != nil {
		return nil, err
	}
	key := empty.key(m)
	made, err := k.store.CachedLayer(key)
	if err != nil {
		return nil, err
	}
	if made == nil {
		if made, err = m.make(ctx, nil); err != nil {
			return nil, err
		}
		if err := k.store.PutCachedLayer(key, made); err != nil {
			return nil, err
		}
	}
	s := empty.state.with(made)
	return &mountSource{tree: s, content: m.digest}, k.unpack(ctx, s)
}

// mount adds the mounts to l. Files for them are in the directory dir. The caller calls closeAll
// after the command, also if there is an error.
func (m *runMaker) mount(ctx context.Context, dir string, l *launch.RunOptions) (closeAll func() error, err error) {
	var closers []func() error
	closeAll = func() error {
		var errs []error
		for _, f := range slices.Backward(closers) {
			errs = append(errs, f())
		}
		return errors.Join(errs...)
	}
	if s := m.run.Script; s != nil {
		scripts := filepath.Join(dir, "script")
		if err := os.Mkdir(scripts, 0o755); err != nil {
			return closeAll, err
		}
		if err := os.WriteFile(filepath.Join(scripts, s.Name), []byte(s.Content), 0o755); err != nil {
			return closeAll, err
		}
		l.Mounts = append(l.Mounts, launch.Mount{Target: dockerfile.ScriptDir, Source: scripts, Readonly: true})
	}
	for i := range m.run.Mounts {
		d := &m.run.Mounts[i]
		own := filepath.Join(dir, fmt.Sprintf("mount-%d", i))
		var mount *launch.Mount
		var closer func() error
		switch d.Type {
		case dockerfile.MountTmpfs:
			mount = &launch.Mount{Tmpfs: true, Size: d.Size}
		case dockerfile.MountSecret:
			mount, closer, err = m.secret(d, l)
		case dockerfile.MountSSH:
			mount, closer, err = m.agent(d, i, l)
		case dockerfile.MountCache:
			mount, closer, err = m.cache(d, m.mounts[i].tree)
		default:
			mount, err = m.bind(ctx, d, m.mounts[i].tree, own)
		}
		if closer != nil {
			closers = append(closers, closer)
		}
		if err != nil {
			return closeAll, fmt.Errorf("--mount=type=%s: %w", d.Type, err)
		}
		if mount != nil {
			mount.Readonly = d.ReadOnly
			if mount.Target == "" {
				mount.Target = d.Target
			}
			l.Mounts = append(l.Mounts, *mount)
		}
	}
	return closeAll, nil
}

// bind returns the mount of a tree. What is written to it is lost.
func (m *runMaker) bind(ctx context.Context, d *dockerfile.Mount, tree *state, own string) (*launch.Mount, error) {
	k := m.k
	paths := k.paths(tree)
	copied := len(paths) == 0 || k.Driver == container.DriverCopy
	for _, p := range paths {
		copied = copied || layer.HasOwnMarks(p)
	}
	if !copied && k.Driver == "" {
		driver, err := container.BestDriver(k.store, k.use)
		if err != nil {
			return nil, err
		}
		copied = driver == container.DriverCopy
	}
	for _, sub := range []string{"", "rootfs", "upper", "work"} {
		if err := os.Mkdir(filepath.Join(own, sub), 0o755); err != nil {
			return nil, err
		}
	}
	if copied {
		return m.bindCopy(ctx, d, paths, filepath.Join(own, "rootfs"))
	}
	rel, err := filepath.Rel(k.store.LayersDir(), own)
	if err != nil {
		return nil, err
	}
	return &launch.Mount{Sub: d.Source, Layers: &overlay.Mount{
		Dir: k.store.LayersDir(), Lower: tree.ids(), Upper: filepath.Join(rel, "upper"), Work: filepath.Join(rel, "work"),
	}}, nil
}

// bindCopy is bind with a copy of the layers.
func (m *runMaker) bindCopy(ctx context.Context, d *dockerfile.Mount, paths []string, rootfs string) (*launch.Mount, error) {
	if len(paths) > 0 {
		if err := unpack.Merge(ctx, m.k.store, m.k.use, isolation.Current().NativeOwners(), paths, rootfs); err != nil {
			return nil, err
		}
	}
	stack, err := layer.OpenStack([]string{rootfs})
	if err != nil {
		return nil, err
	}
	defer stack.Close()
	o, err := (&layer.Tree{Stack: stack}).Lookup(d.Source, true)
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", d.Source, err)
	}
	return &launch.Mount{Source: filepath.Join(rootfs, o.Path())}, nil
}

// cache returns the mount of a directory that builds share.
func (m *runMaker) cache(d *dockerfile.Mount, tree *state) (*launch.Mount, func() error, error) {
	k := m.k
	id := d.ID
	if tree != nil {
		id += " " + m.k.tag(tree, d.Source)
	}
	// Without mounts, only one root file system can have it.
	exclusive, wait := d.Sharing != "shared" || isolation.Current() == isolation.Chroot, d.Sharing != "private"
	fill := func(dir string) error { return m.fill(dir, d, tree) }
	c, err := k.store.CacheMount(id, exclusive, wait, fill)
	for n := 1; errors.Is(err, store.ErrInUse); n++ {
		// private: "creates a new mount if there are multiple writers".
		c, err = k.store.CacheMount(fmt.Sprintf("%s #%d", id, n), exclusive, wait, fill)
	}
	if err != nil {
		return nil, nil, err
	}
	return &launch.Mount{Source: c.Path}, func() error {
		c.Close()
		return nil
	}, nil
}

// tag returns what identifies a part of a tree.
func (k *stageBuilder) tag(tree *state, name string) string { return tree.id() + name }

// fill makes the first content of a cache.
func (m *runMaker) fill(dir string, d *dockerfile.Mount, tree *state) error {
	if tree != nil {
		stage, err := os.MkdirTemp(m.k.tmp, "cache-")
		if err != nil {
			return err
		}
		defer layer.RemoveAll(stage)
		c := &files.Copy{Dest: "/", Sources: []files.Source{{Path: d.Source, Tree: &files.Tree{Layers: m.k.paths(tree)}}}}
		if _, err := m.k.files.Copy(c, filepath.Join(stage, "archive"), dir); err != nil {
			return err
		}
	}
	mode := int64(0o755)
	if d.Mode != nil {
		mode = *d.Mode
	}
	return m.k.files.Dir(dir, files.Owner{UID: d.UID, GID: d.GID}, mode)
}

// secret returns the mount of a secret, or nil if the user has not given it or it is only a
// variable.
func (m *runMaker) secret(d *dockerfile.Mount, l *launch.RunOptions) (*launch.Mount, func() error, error) {
	s, ok := m.k.Secrets[d.ID]
	if !ok {
		return nil, nil, nil
	}
	value := s.Value
	if s.File != "" {
		var err error
		if value, err = os.ReadFile(s.File); err != nil {
			return nil, nil, fmt.Errorf("secret %q: %w", d.ID, err)
		}
	}
	if d.Env != "" {
		l.Env = append(l.Env, d.Env+"="+string(value))
	}
	if d.Target == "" {
		return nil, nil, nil
	}
	dir, err := os.MkdirTemp(memoryDir(m.k.tmp), "subuidless-secret-")
	if err != nil {
		return nil, nil, err
	}
	closer := func() error { return layer.RemoveAll(dir) }
	file := filepath.Join(dir, "secret")
	mode := int64(0o400)
	if d.Mode != nil {
		mode = *d.Mode
	}
	c := &files.Copy{
		Dest: "/secret", Sources: []files.Source{{Inline: &files.Inline{Name: "secret", Content: string(value)}}},
		Owner: &files.Owner{UID: d.UID, GID: d.GID}, Mode: fmt.Sprintf("%o", mode), Created: m.k.created,
	}
	archive := filepath.Join(dir, "archive")
	_, err = m.k.files.Copy(c, archive, dir)
	if err == nil {
		err = os.Remove(archive)
	}
	if err == nil {
		err = os.Chmod(dir, 0o700)
	}
	return &launch.Mount{Source: file}, closer, err
}

// memoryDir returns a directory in memory, so that a secret is never on a disk, or else the
// directory other: also where a mount cannot bring it to the root file system.
func memoryDir(other string) string {
	if isolation.Current() == isolation.Chroot {
		return other
	}
	for _, dir := range []string{os.Getenv("XDG_RUNTIME_DIR"), "/dev/shm"} {
		if dir == "" {
			continue
		}
		probe, err := os.MkdirTemp(dir, "subuidless-")
		if err == nil && os.Remove(probe) == nil {
			return dir
		}
	}
	return other
}

// agent returns the mount of the socket of an agent, or nil if the user has not given it.
func (m *runMaker) agent(d *dockerfile.Mount, number int, l *launch.RunOptions) (*launch.Mount, func() error, error) {
	socket, ok := m.k.Agents[d.ID]
	if !ok {
		return nil, nil, nil
	}
	target := d.Target
	if target == "" {
		target = fmt.Sprintf("/run/buildkit/ssh_agent.%d", number)
	}
	if d.Mode != nil || d.UID != 0 || d.GID != 0 {
		return nil, nil, errors.New("mode, uid and gid are not supported: the socket is the agent's own")
	}
	l.Env = append(l.Env, "SSH_AUTH_SOCK="+target)
	return &launch.Mount{Source: socket, Target: target}, nil, nil
}
