package ociruntime

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/bundle"
	"github.com/rootless-containers/subuidless/internal/launch"
	"github.com/rootless-containers/subuidless/internal/supervisor"
	"github.com/rootless-containers/subuidless/internal/syscalls"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// create executes the commands create and run.
func (r *runtime) create(c *command) (status int, err error) {
	at, err := findPlace(supervisor.Active())
	if err != nil {
		return statusFailed, err
	}
	if c.name == "run" && !at.supervised {
		// The program would run before it is noticed that no listener arrives.
		if reason := r.backend.tooOld(); reason != "" {
			return statusFailed, errors.New(reason)
		}
	}
	config, dir, err := readBundle(c)
	if err != nil {
		return statusFailed, err
	}
	s, err := makeState(r.root, c.id)
	if err != nil {
		return statusFailed, err
	}
	if r.exists(c.id) {
		return statusFailed, errors.Join(fmt.Errorf("container with id %s exists already: delete it first, or choose another id", c.id), s.unlock())
	}
	if err := s.clear(); err != nil { // of a container that no longer exists
		return statusFailed, errors.Join(err, s.unlock())
	}
	rec := record{
		ID: c.id, Bundle: dir, Rootfs: config.rootfs(dir), Runtime: r.backend.path, Supervised: at.supervised, NewUserNS: at.newUserNS,
		Cgroups: cgroupsUsable(config.Linux.CgroupsPath, r.systemdCgroup),
	}
	if config.Process != nil {
		rec.User = config.Process.User
	}
	if err := r.writeState(s, rec, config); err != nil {
		return statusFailed, errors.Join(err, s.remove())
	}
	status, err = r.runCreate(c, s, rec)
	if err == nil && (status == 0 || c.name == "run") {
		return r.endCreate(c, rec, status)
	}
	return max(status, statusFailed), errors.Join(err, r.undo(rec))
}

// bundleConfig is a config.json: its text, and what this package needs of it.
type bundleConfig struct {
	text []byte
	specs.Spec
}

// readBundle returns the configuration of the bundle that the command names, and the bundle's
// absolute path without symbolic links, which the runtimes follow.
func readBundle(c *command) (config bundleConfig, dir string, err error) {
	dir = c.value("bundle")
	if dir == "" {
		dir = "."
	}
	if dir, err = filepath.Abs(dir); err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return config, "", fmt.Errorf("the bundle of container %s: %w", c.id, err)
	}
	path := c.value("config") // relative to the working directory
	if path != "" {
		config.text, err = os.ReadFile(path) // also from a pipe
	} else {
		path = filepath.Join(dir, configName)
		config.text, _, err = bundle.Read(path)
	}
	if err != nil {
		return config, "", fmt.Errorf("the configuration of container %s: %w", c.id, err)
	}
	if err := json.Unmarshal(config.text, &config.Spec); err != nil {
		return config, "", fmt.Errorf("%s is not a valid configuration: %w", path, err)
	}
	if config.Linux == nil {
		config.Linux = new(specs.Linux)
	}
	return config, dir, nil
}

// rootfs returns the path of the container's root directory, of a bundle in dir.
func (c *bundleConfig) rootfs(dir string) string {
	if c.Root == nil {
		return dir
	}
	if filepath.IsAbs(c.Root.Path) {
		return c.Root.Path
	}
	return filepath.Join(dir, c.Root.Path)
}

// writeState writes the adapted configuration and the record of a container.
func (r *runtime) writeState(s *state, rec record, config bundleConfig) error {
	if !rec.Cgroups && limitsUse(config.Linux.Resources) {
		r.report("warning", "the limits for memory and CPU of container "+rec.ID+" have no effect: "+cgroupRoot+" does not let this user create cgroups")
	}
	hasUserNS := slices.ContainsFunc(config.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.UserNamespace })
	opts := bundle.RuntimeOptions{
		Options: bundle.Options{
			UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), Socket: s.path(socketName),
			// A user namespace in one that maps one id must map the same one.
			NoUserNamespace: rec.NewUserNS || !hasUserNS,
		},
		Supervised: rec.Supervised,
		Dir:        rec.Bundle,
		NoCgroups:  !rec.Cgroups,
		Owns: func(kind specs.LinuxNamespaceType, path string) bool {
			return !rec.NewUserNS && ownsNamespace(kind, path)
		},
		Inherited: func(kind specs.LinuxNamespaceType, path string) bool {
			return isInherited(kind, path) && (rec.NewUserNS || !ownsNamespace(kind, path))
		},
		Home: func(uid uint32) string { return launch.Home(config.rootfs(rec.Bundle), uid) },
	}
	rows := syscalls.Rows()
	if r.supervisor.NoPermissions {
		rows = syscalls.WithoutPermissions(rows)
	}
	adapted, err := bundle.RewriteForRuntime(config.text, opts, rows)
	if err != nil {
		return fmt.Errorf("the configuration of container %s: %w", rec.ID, err)
	}
	if err := os.WriteFile(s.path(configName), adapted, 0o600); err != nil {
		return fmt.Errorf("the state of container %s: %w", rec.ID, err)
	}
	if err := s.save(rec); err != nil {
		return fmt.Errorf("the state of container %s: %w", rec.ID, err)
	}
	return nil
}

// limitsUse reports whether res limits memory or CPU.
func limitsUse(res *specs.LinuxResources) bool {
	if res == nil {
		return false
	}
	m, c := res.Memory, res.CPU
	return m != nil && m.Limit != nil && *m.Limit > 0 || c != nil && (c.Quota != nil && *c.Quota > 0 || c.Cpus != "")
}

// namespaceFiles are the names in /proc/PID/ns of the namespaces that a container without one of
// its own shares with the runtime: namespaces(7).
var namespaceFiles = map[specs.LinuxNamespaceType]string{
	specs.CgroupNamespace: "cgroup", specs.IPCNamespace: "ipc", specs.NetworkNamespace: "net",
	specs.PIDNamespace: "pid", specs.TimeNamespace: "time", specs.UTSNamespace: "uts",
}

// isInherited reports whether the namespace at path is that of this process.
func isInherited(kind specs.LinuxNamespaceType, path string) bool {
	name, ok := namespaceFiles[kind]
	if !ok {
		return false
	}
	named, err := os.Stat(path)
	if err != nil {
		return false // the runtime reports it
	}
	own, err := os.Stat("/proc/self/ns/" + name)
	return err == nil && os.SameFile(named, own)
}

// ownsNamespace reports whether the namespace of the file at path, or if that is empty, the one
// of this process, belongs to the user namespace of this process: ioctl_ns(2), NS_GET_USERNS.
func ownsNamespace(kind specs.LinuxNamespaceType, path string) bool {
	if path == "" {
		path = "/proc/self/ns/" + namespaceFiles[kind]
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	owner, err := unix.IoctlRetInt(fd, unix.NS_GET_USERNS)
	if err != nil {
		return false // EPERM: it belongs to an outer one
	}
	defer unix.Close(owner)
	own, err := userns.IsOwn(owner)
	return err == nil && own
}

// runCreate executes the runtime for create or run. It returns when the runtime has ended; the
// lock of s is released as soon as the container is supervised.
func (r *runtime) runCreate(c *command, s *state, rec record) (status int, err error) {
	args := r.arguments(rec.Cgroups, c.arguments([]string{"bundle", "config"}, []string{bundleArgument(s.dir)})...)
	var l *net.UnixListener
	if !rec.Supervised {
		if l, err = s.listen(); err != nil {
			return statusFailed, errors.Join(err, s.unlock())
		}
	}
	child, err := r.startRuntime(args, rec.NewUserNS)
	if err != nil {
		return statusFailed, errors.Join(err, closeListener(l), s.unlock())
	}
	if l != nil {
		err = r.superviseFrom(l, child, s, c.name == "create")
	}
	err = errors.Join(err, closeListener(l), s.unlock())
	status, waitErr := child.wait()
	if errors.Is(err, errNoListener) {
		err = r.explainNoListener(status)
	}
	return status, errors.Join(err, waitErr)
}

func closeListener(l *net.UnixListener) error {
	if l == nil {
		return nil
	}
	return l.Close()
}

// explainNoListener returns the error for a runtime that has ended with the given status, and
// has not sent a listener. It is nil if the runtime has failed for another reason, which it
// has reported.
func (r *runtime) explainNoListener(status int) error {
	if reason := r.backend.tooOld(); reason != "" {
		return errors.New(reason)
	}
	if status != 0 {
		return nil
	}
	return fmt.Errorf("%w, so the container is not supervised and has been deleted: %s must support linux.seccomp.listenerPath (libseccomp 2.5 or later)", errNoListener, r.backend.path)
}

// endCreate is called when the runtime has created or run a container.
func (r *runtime) endCreate(c *command, rec record, status int) (int, error) {
	s, err := lockState(stateDir(r.root, rec.ID), unix.LOCK_EX)
	if errors.Is(err, fs.ErrNotExist) { // deleted meanwhile
		return status, nil
	}
	if err == nil {
		err = r.settle(s, rec.ID)
	}
	if err != nil {
		return max(status, statusFailed), err
	}
	return status, nil
}

// undo removes what a runtime has left of a container that could not be created.
func (r *runtime) undo(rec record) error {
	s, err := lockState(stateDir(r.root, rec.ID), unix.LOCK_EX)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if r.exists(rec.ID) {
		if err := r.forceDelete(rec); err != nil {
			return errors.Join(err, s.unlock())
		}
	}
	return r.settle(s, rec.ID)
}
