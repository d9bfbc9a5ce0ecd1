package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/rootless-containers/subuidless/internal/syscalls"
)

// RuntimeOptions are the options of RewriteForRuntime.
type RuntimeOptions struct {
	// Options are those of Rewrite. Supervised makes them ineffective.
	Options
	// Supervised means that an outer supervisor handles the calls of the container: the
	// result has no rules of subuidless, because a process can have only one seccomp agent.
	Supervised bool
	// Dir is the absolute path of the bundle, to which relative paths refer.
	Dir string
	// NoCgroups means that the container gets no cgroup of its own.
	NoCgroups bool
	// Owns reports whether the user namespace of the container owns the namespace at path,
	// of a type of linux.namespaces, or if path is empty, the one of the runtime.
	Owns func(kind specs.LinuxNamespaceType, path string) bool
	// Inherited reports whether the namespace at path, of a type of linux.namespaces, is the
	// one that the container has anyway, and cannot join.
	Inherited func(kind specs.LinuxNamespaceType, path string) bool
	// Home returns the home directory of a user id in the container: see RewriteProcess.
	Home func(uid uint32) string
}

// RewriteForRuntime returns config, the text of a bundle's config.json, changed like Rewrite
// and so that it works from another directory than the bundle's, and without cgroups if those
// of the host are not the user's. The errors are those of Rewrite; with Supervised, a
// listenerPath or a notified call is an error, too.
func RewriteForRuntime(config []byte, opts RuntimeOptions, rows []syscalls.Row) ([]byte, error) {
	var spec jsonObject
	if err := json.Unmarshal(config, &spec); err != nil {
		return nil, err
	}
	if err := rewritePaths(&spec, opts.Dir); err != nil {
		return nil, err
	}
	if err := removeInherited(&spec, opts.Inherited); err != nil {
		return nil, err
	}
	if opts.NoCgroups {
		if err := removeCgroups(&spec); err != nil {
			return nil, err
		}
	}
	if !opts.Supervised {
		if err := rewriteHome(&spec, opts.Home); err != nil {
			return nil, err
		}
		if err := rewriteSpec(&spec, opts.Options, rows, opts.Owns); err != nil {
			return nil, err
		}
		return indentLike(spec, config)
	}
	var linux jsonObject
	if err := spec.get("linux", &linux); err != nil {
		return nil, err
	}
	if err := checkNoAgent(linux); err != nil {
		return nil, err
	}
	if err := rewriteMounts(&spec, linux, opts.Owns); err != nil {
		return nil, err
	}
	return indentLike(spec, config)
}

// rewriteHome sets the variable HOME of the container's process: see setHome.
func rewriteHome(spec *jsonObject, home func(uid uint32) string) error {
	var process jsonObject
	var user specs.User
	if err := spec.get("process", &process); err != nil || len(process) == 0 {
		return err
	}
	if err := process.get("user", &user); err != nil {
		return fmt.Errorf("process.%w", err)
	}
	if err := setHome(&process, user.UID, home); err != nil {
		return fmt.Errorf("process.%w", err)
	}
	return spec.set("process", process)
}

// rewritePaths makes the paths absolute that are relative to the bundle's directory.
func rewritePaths(spec *jsonObject, dir string) error {
	var root jsonObject
	if err := spec.get("root", &root); err != nil {
		return err
	}
	if len(root) > 0 {
		if err := makeAbsolute(&root, "path", dir); err != nil {
			return fmt.Errorf("root.%w", err)
		}
		if err := spec.set("root", root); err != nil {
			return err
		}
	}
	var mounts []jsonObject
	if err := spec.get("mounts", &mounts); err != nil || len(mounts) == 0 {
		return err
	}
	for i := range mounts {
		var options []string
		if err := mounts[i].get("options", &options); err != nil {
			return fmt.Errorf("mounts[%d].%w", i, err)
		}
		if !slices.Contains(options, "bind") && !slices.Contains(options, "rbind") {
			continue // source is a name
		}
		if err := makeAbsolute(&mounts[i], "source", dir); err != nil {
			return fmt.Errorf("mounts[%d].%w", i, err)
		}
	}
	return spec.set("mounts", mounts)
}

// makeAbsolute makes the path in the member name of o absolute.
func makeAbsolute(o *jsonObject, name, dir string) error {
	var path string
	if err := o.get(name, &path); err != nil || path == "" || filepath.IsAbs(path) {
		return err
	}
	return o.set(name, filepath.Join(dir, path))
}

// removeInherited removes the namespaces that the container has without joining them, where the
// kernel forbids to join them: setns(2) needs CAP_SYS_ADMIN in the user namespace that owns the
// namespace. The CRI of containerd names the host's network in that way, by the process of the
// pod's first container.
func removeInherited(spec *jsonObject, inherited func(specs.LinuxNamespaceType, string) bool) error {
	var linux jsonObject
	if err := spec.get("linux", &linux); err != nil {
		return err
	}
	var namespaces []specs.LinuxNamespace
	if err := linux.get("namespaces", &namespaces); err != nil {
		return fmt.Errorf("linux.%w", err)
	}
	kept := slices.DeleteFunc(slices.Clone(namespaces), func(n specs.LinuxNamespace) bool {
		return n.Path != "" && inherited(n.Type, n.Path)
	})
	if len(kept) == len(namespaces) {
		return nil
	}
	if err := linux.set("namespaces", kept); err != nil {
		return err
	}
	return spec.set("linux", linux)
}

// removeCgroups removes the container's cgroup, its limits, and mounts of cgroup file systems
// that would fail without it: all except those of version 2 in a cgroup namespace.
func removeCgroups(spec *jsonObject) error {
	var linux jsonObject
	if err := spec.get("linux", &linux); err != nil {
		return err
	}
	linux.remove("resources")
	linux.remove("cgroupsPath")
	var namespaces []specs.LinuxNamespace
	if err := linux.get("namespaces", &namespaces); err != nil {
		return fmt.Errorf("linux.%w", err)
	}
	if len(linux) > 0 {
		if err := spec.set("linux", linux); err != nil {
			return err
		}
	}
	unified, err := unifiedCgroups()
	if err != nil {
		return err
	}
	ownCgroup := slices.ContainsFunc(namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.CgroupNamespace })
	var mounts []jsonObject
	if err := spec.get("mounts", &mounts); err != nil || len(mounts) == 0 || unified && ownCgroup {
		return err
	}
	kept := mounts[:0]
	for i := range mounts {
		var kind string
		if err := mounts[i].get("type", &kind); err != nil {
			return fmt.Errorf("mounts[%d].%w", i, err)
		}
		if kind != "cgroup" && kind != "cgroup2" {
			kept = append(kept, mounts[i])
		}
	}
	return spec.set("mounts", kept)
}

// checkNoAgent returns an error if the seccomp profile is for an agent.
func checkNoAgent(linux jsonObject) error {
	var sec specs.LinuxSeccomp
	if err := linux.get("seccomp", &sec); err != nil {
		return fmt.Errorf("linux.%w", err)
	}
	notifies := sec.DefaultAction == specs.ActNotify || slices.ContainsFunc(sec.Syscalls, func(s specs.LinuxSyscall) bool { return s.Action == specs.ActNotify })
	if sec.ListenerPath == "" && !notifies {
		return nil
	}
	return errors.New("linux.seccomp is for a seccomp agent, but subuidless supervises this process already, and the kernel allows one agent: use a profile without listenerPath and SCMP_ACT_NOTIFY here")
}
