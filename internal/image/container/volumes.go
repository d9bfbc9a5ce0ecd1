package container

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/rootless-containers/subuidless/internal/image/running"
	"github.com/rootless-containers/subuidless/internal/image/storedir"

	"github.com/rootless-containers/subuidless/internal/image/containerfiles"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/isolation"
)

// parseVolumes parses volumes of the form SRC:DST[:OPTIONS] or DST. SRC is a path if it has a
// slash, and else the name of a volume of the store. It returns the mounts, and the paths of
// volumes that belong to the container.
func parseVolumes(s *store.Store, specs []string) (mounts []storedir.Mount, anonymous []string, err error) {
	for _, spec := range specs {
		parts := strings.Split(spec, ":")
		if len(parts) == 1 {
			if !path.IsAbs(spec) {
				return nil, nil, fmt.Errorf("volume %q: must be SRC:DST, NAME:DST or the absolute path DST", spec)
			}
			anonymous = append(anonymous, path.Clean(spec))
			continue
		}
		m, err := parseMount(s, parts)
		if err != nil {
			return nil, nil, fmt.Errorf("volume %q: %w", spec, err)
		}
		mounts = append(mounts, *m)
	}
	return mounts, anonymous, nil
}

func parseMount(s *store.Store, parts []string) (*storedir.Mount, error) {
	if len(parts) > 3 || parts[0] == "" {
		return nil, errors.New("must be SRC:DST[:OPTIONS] or NAME:DST[:OPTIONS]")
	}
	m := &storedir.Mount{Source: parts[0], Destination: path.Clean(parts[1])}
	if !path.IsAbs(parts[1]) || m.Destination == "/" {
		return nil, fmt.Errorf("%q must be an absolute path in the container, below /", parts[1])
	}
	if len(parts) == 3 {
		for option := range strings.SplitSeq(parts[2], ",") {
			switch option {
			case "ro":
				m.ReadOnly = true
			case "rw", "z", "Z": // the latter are for SELinux; there are no labels here
			default:
				return nil, fmt.Errorf("unknown option %q: must be ro, rw, z or Z", option)
			}
		}
	}
	if strings.Contains(m.Source, "/") || m.Source == "." || m.Source == ".." {
		abs, err := filepath.Abs(m.Source)
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(abs); err != nil {
			return nil, fmt.Errorf("on the host: %w", err)
		}
		m.Source = abs
		return m, nil
	}
	v, err := s.CreateVolume(m.Source, nil)
	if err != nil {
		return nil, err
	}
	m.Volume, m.Source = v.Name, v.Data
	return m, nil
}

// mountsFrom returns the mounts of other containers, CONTAINER[:ro|rw].
func mountsFrom(s *store.Store, specs []string) ([]storedir.Mount, error) {
	var all []storedir.Mount
	for _, spec := range specs {
		name, options, _ := strings.Cut(spec, ":")
		if options != "" && options != "ro" && options != "rw" {
			return nil, fmt.Errorf("--volumes-from %s: unknown option %q: must be ro or rw", spec, options)
		}
		c, err := s.FindContainer(name)
		if err != nil {
			return nil, fmt.Errorf("--volumes-from %s: %w", spec, err)
		}
		mounted := map[string]bool{c.Settings.Workdir: true}
		for _, m := range c.Settings.Mounts {
			mounted[m.Destination] = true
			if m.Tmpfs != nil {
				continue // docker does not share them, either
			}
			m.ReadOnly = m.ReadOnly || options == "ro"
			all = append(all, m)
		}
		for _, dir := range c.Settings.Dirs {
			if !mounted[dir] {
				return nil, fmt.Errorf("--volumes-from %s: the volume %s has no name, so it is a part of that container's root file system; create that container with -v NAME:%[2]s", spec, dir)
			}
		}
	}
	return all, nil
}

// fillVolumes copies what the image has at the mount points of empty volumes to them, as docker
// does.
func fillVolumes(s *store.Store, c *store.Container) error {
	for _, m := range c.Settings.Mounts {
		if m.Volume == "" {
			continue
		}
		if err := fillVolume(s, c, m); err != nil {
			return fmt.Errorf("volume %s: copying the image's files at %s to it: %w", m.Volume, m.Destination, err)
		}
	}
	return nil
}

func fillVolume(s *store.Store, c *store.Container, m storedir.Mount) error {
	lock, err := s.LockVolumes()
	if err != nil {
		return err
	}
	defer lock.Unlock()
	if entries, err := os.ReadDir(m.Source); err != nil || len(entries) > 0 {
		return err
	}
	root, err := rootOf(c)
	if err != nil {
		return err
	}
	st, err := containerfiles.StatFile(root, m.Destination, true)
	if err != nil || !st.Found || !st.Mode.IsDir() {
		return err
	}
	r, w := io.Pipe()
	warn := func(string) {}
	done := make(chan error, 1)
	go func() {
		err := containerfiles.Archive(root, m.Destination, ".", true, w, warn)
		w.CloseWithError(err)
		done <- err
	}()
	err = containerfiles.Extract(containerfiles.Root{Path: m.Source, Native: isolation.Current().NativeOwners()}, "/", r, warn)
	r.CloseWithError(err)
	return errors.Join(err, <-done)
}

// rootOf returns the root file system of a container that runs, or whose lock the caller holds.
func rootOf(c *store.Container) (containerfiles.Root, error) {
	root := containerfiles.Root{Path: filepath.Join(c.Dir, "rootfs"), Native: isolation.Current().NativeOwners()}
	if c.Running && c.State.Init != 0 && isolation.Current() != isolation.Chroot { // where the init has another root
		root.Pid = c.State.Init
		return root, nil
	}
	if len(c.Layers) == 0 {
		return root, nil
	}
	mount, err := running.Overlay(c)
	root.Overlay = mount
	return root, err
}
