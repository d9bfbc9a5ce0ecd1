package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/rootless-containers/subuidless/internal/syscalls"
)

// Options says what Rewrite changes.
type Options struct {
	// UID and GID are the one user and group of the caller's that become the
	// container's.
	UID, GID uint32
	// Socket is the absolute path of the agent's socket, for
	// linux.seccomp.listenerPath. Empty: the runtime learns it otherwise.
	Socket string
	// NoUserNamespace is for a runtime that is started inside of a user
	// namespace, as with unshare -r: the container does not get another one.
	NoUserNamespace bool
	// WaitKillable asks for SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, which
	// crun knows since 1.6 and runc since 1.5.
	WaitKillable bool
}

// Rewrite changes a config.json so that its container is supervised, and keeps
// everything in it that need not change, its order and indentation included.
func Rewrite(config []byte, opts Options, rows []syscalls.Row) ([]byte, error) {
	if _, err := syscalls.Arches(runtime.GOARCH); err != nil {
		return nil, err
	}
	var spec, linux jsonObject
	if err := json.Unmarshal(config, &spec); err != nil {
		return nil, err
	}
	if err := spec.get("linux", &linux); err != nil {
		return nil, err
	}
	if err := rewriteUserNamespace(&linux, opts); err != nil {
		return nil, fmt.Errorf("linux.%w", err)
	}
	if err := rewriteMounts(&spec, linux); err != nil {
		return nil, err
	}
	user, err := mappedUser(linux)
	if err != nil {
		return nil, err
	}
	if err := rewriteUser(&spec, user); err != nil {
		return nil, err
	}
	if err := rewriteSeccomp(&linux, opts, rows); err != nil {
		return nil, fmt.Errorf("linux.%w", err)
	}
	if err := spec.set("linux", linux); err != nil {
		return nil, err
	}
	return indentLike(spec, config)
}

// rewriteUserNamespace makes the container have a user namespace with one user
// and one group, unless it joins an existing one.
func rewriteUserNamespace(linux *jsonObject, opts Options) error {
	var raw []json.RawMessage
	var namespaces []specs.LinuxNamespace
	if err := linux.get("namespaces", &raw); err != nil {
		return err
	}
	if err := linux.get("namespaces", &namespaces); err != nil {
		return err
	}
	i := slices.IndexFunc(namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.UserNamespace })
	if opts.NoUserNamespace {
		if i >= 0 {
			raw = slices.Delete(raw, i, i+1)
		}
		linux.remove("uidMappings")
		linux.remove("gidMappings")
		return linux.set("namespaces", raw)
	}
	if i >= 0 && namespaces[i].Path != "" {
		return nil
	}
	if i < 0 {
		user, err := encode(specs.LinuxNamespace{Type: specs.UserNamespace})
		if err != nil {
			return err
		}
		if err := linux.set("namespaces", append(raw, user)); err != nil {
			return err
		}
	}
	if err := rewriteMapping(linux, "uidMappings", opts.UID); err != nil {
		return err
	}
	return rewriteMapping(linux, "gidMappings", opts.GID)
}

// rewriteMapping makes the container map one id, the caller's. A mapping that
// does is kept: it may give the caller another id than 0 in the container.
func rewriteMapping(linux *jsonObject, name string, id uint32) error {
	var mappings []specs.LinuxIDMapping
	if err := linux.get(name, &mappings); err != nil {
		return err
	}
	if len(mappings) == 1 && mappings[0].Size == 1 && mappings[0].HostID == id {
		return nil
	}
	return linux.set(name, []specs.LinuxIDMapping{{ContainerID: 0, HostID: id, Size: 1}})
}

// rewriteMounts changes the mounts that cannot work with one mapped id.
func rewriteMounts(spec *jsonObject, linux jsonObject) error {
	var mounts []jsonObject
	if err := spec.get("mounts", &mounts); err != nil {
		return err
	}
	if len(mounts) == 0 {
		return nil
	}
	var namespaces []specs.LinuxNamespace
	if err := linux.get("namespaces", &namespaces); err != nil {
		return err
	}
	ownNetwork := slices.ContainsFunc(namespaces, func(n specs.LinuxNamespace) bool {
		return n.Type == specs.NetworkNamespace && n.Path == ""
	})
	user, err := mappedUser(linux)
	if err != nil {
		return err
	}
	for i := range mounts {
		if err := rewriteMount(&mounts[i], ownNetwork, map[string]uint32{"uid": user.UID, "gid": user.GID}); err != nil {
			return fmt.Errorf("mounts[%d].%w", i, err)
		}
	}
	return spec.set("mounts", mounts)
}

// mappedUser returns the container's first user and group that are mapped.
func mappedUser(linux jsonObject) (user specs.User, err error) {
	for list, id := range map[string]*uint32{"uidMappings": &user.UID, "gidMappings": &user.GID} {
		var mappings []specs.LinuxIDMapping
		if err := linux.get(list, &mappings); err != nil {
			return user, fmt.Errorf("linux.%w", err)
		}
		if len(mappings) > 0 {
			*id = mappings[0].ContainerID
		}
	}
	return user, nil
}

func rewriteMount(mount *jsonObject, ownNetwork bool, mapped map[string]uint32) error {
	var kind string
	var options []string
	if err := mount.get("type", &kind); err != nil {
		return err
	}
	if err := mount.get("options", &options); err != nil {
		return err
	}
	if kind == "sysfs" && !ownNetwork {
		// The kernel lets only the owner of the network namespace mount
		// sysfs.
		if err := mount.set("type", "none"); err != nil {
			return err
		}
		if err := mount.set("source", "/sys"); err != nil {
			return err
		}
		return mount.set("options", append([]string{"rbind"}, options...))
	}
	kept := slices.DeleteFunc(slices.Clone(options), func(option string) bool {
		name, value, _ := strings.Cut(option, "=")
		// The container's own id is left; every other is refused with EINVAL.
		return (name == "uid" || name == "gid") && value != strconv.FormatUint(uint64(mapped[name]), 10)
	})
	if len(kept) == len(options) {
		return nil
	}
	return mount.set("options", kept)
}

var firstIndent = regexp.MustCompile(`^\s*\{\r?\n([ \t]+)"`)

// indentLike formats spec as the file that it was read from: with that one's
// indentation, or in one line if that was.
func indentLike(spec jsonObject, like []byte) ([]byte, error) {
	text, err := spec.MarshalJSON()
	if err != nil {
		return nil, err
	}
	m := firstIndent.FindSubmatch(like)
	if m == nil {
		return text, nil
	}
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", string(m[1])); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}
