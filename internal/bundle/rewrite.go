package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/rootless-containers/subuidless/internal/syscalls"
)

// Options are the options of Rewrite.
type Options struct {
	// UID and GID are the host's ids that the container's user namespace maps.
	UID, GID uint32
	// Socket is the absolute path of the agent's socket, for
	// linux.seccomp.listenerPath. If it is empty, the runtime must get the path in
	// another way, such as crun's RUN_OCI_SECCOMP_RECEIVER.
	Socket string
	// NoUserNamespace removes the container's user namespace, for a runtime that already
	// runs in one (unshare -r).
	NoUserNamespace bool
	// WaitKillable adds the flag SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (seccomp(2)),
	// which requires crun 1.6 or runc 1.5, or later.
	WaitKillable bool
}

// Rewrite returns config, the text of a config.json, changed so that the container has a
// single mapped id and so that the calls of rows are sent to the agent. It preserves
// everything else, including the order of members and the indentation. Rewriting the result
// with the same arguments does not change it.
//
// It is an error if config is not valid, if it has rules or a listenerPath of another seccomp
// agent, or if it denies a call of rows under conditions that rules cannot express.
func Rewrite(config []byte, opts Options, rows []syscalls.Row) ([]byte, error) {
	if _, err := syscalls.Arches(runtime.GOARCH); err != nil {
		return nil, err
	}
	var spec jsonObject
	if err := json.Unmarshal(config, &spec); err != nil {
		return nil, err
	}
	if err := rewriteSpec(&spec, opts, rows, joins); err != nil {
		return nil, err
	}
	return indentLike(spec, config)
}

// rewriteSpec changes spec as Rewrite says. OwnNetwork reports whether the container may mount
// sysfs with that network namespace.
func rewriteSpec(spec *jsonObject, opts Options, rows []syscalls.Row, owns ownership) error {
	var linux jsonObject
	if err := spec.get("linux", &linux); err != nil {
		return err
	}
	if err := rewriteUserNamespace(&linux, opts); err != nil {
		return fmt.Errorf("linux.%w", err)
	}
	if err := rewriteMounts(spec, linux, owns); err != nil {
		return err
	}
	user, err := mappedUser(linux)
	if err != nil {
		return err
	}
	if err := rewriteUser(spec, user); err != nil {
		return err
	}
	if err := rewriteSeccomp(&linux, opts, rows); err != nil {
		return fmt.Errorf("linux.%w", err)
	}
	return spec.set("linux", linux)
}

// ownership reports whether the user namespace of the container owns a namespace that the runtime
// does not create for it: the one at path, or if path is empty, the one that it inherits.
type ownership func(kind specs.LinuxNamespaceType, path string) bool

// joins is the ownership of a container whose namespaces cannot be looked at. One that it joins is
// of a container with the same user namespace, except that networks are often the host's.
func joins(kind specs.LinuxNamespaceType, path string) bool {
	return path != "" && kind != specs.NetworkNamespace
}

// owned returns the types of namespaces that the user namespace of the container owns, of those
// that file systems belong to.
func owned(namespaces []specs.LinuxNamespace, owns ownership) map[specs.LinuxNamespaceType]bool {
	result := map[specs.LinuxNamespaceType]bool{}
	for _, kind := range hostMounts {
		path, creates := "", false
		for _, n := range namespaces {
			if n.Type == kind.namespace {
				path, creates = n.Path, n.Path == ""
			}
		}
		result[kind.namespace] = creates || owns(kind.namespace, path)
	}
	return result
}

// hostMounts are the file systems that only the owner of a namespace can mount, and where those
// of the host are mounted: mounting a file system needs CAP_SYS_ADMIN in the user namespace that
// owns its namespace.
var hostMounts = map[string]struct {
	namespace specs.LinuxNamespaceType
	path      string
}{
	"mqueue": {specs.IPCNamespace, "/dev/mqueue"},
	"proc":   {specs.PIDNamespace, "/proc"},
	"sysfs":  {specs.NetworkNamespace, "/sys"},
}

// rewriteUserNamespace gives the container a user namespace that maps one user and one group,
// unless the container joins an existing one.
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

// rewriteMapping replaces the mappings of the member name with a single one, of root to the
// host's id. It preserves a single mapping of the same host id, which may be to another id
// than 0.
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

// rewriteMounts changes the mounts that fail with a single mapped id.
func rewriteMounts(spec *jsonObject, linux jsonObject, owns ownership) error {
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
	user, err := mappedUser(linux)
	if err != nil {
		return err
	}
	own := owned(namespaces, owns)
	mounts, err = removeImpossible(mounts, own)
	if err != nil {
		return err
	}
	for i := range mounts {
		if err := rewriteMount(&mounts[i], own, map[string]uint32{"uid": user.UID, "gid": user.GID}); err != nil {
			return fmt.Errorf("mounts[%d].%w", i, err)
		}
	}
	return spec.set("mounts", mounts)
}

// removeImpossible returns the mounts without those of file systems that the container cannot
// mount, and that the host has not mounted either: many hosts have no /dev/mqueue.
func removeImpossible(mounts []jsonObject, own map[specs.LinuxNamespaceType]bool) ([]jsonObject, error) {
	var possible []jsonObject
	for i := range mounts {
		var kind string
		if err := mounts[i].get("type", &kind); err != nil {
			return nil, fmt.Errorf("mounts[%d].%w", i, err)
		}
		if host, ok := hostMounts[kind]; ok && !own[host.namespace] {
			if _, err := os.Stat(host.path); errors.Is(err, fs.ErrNotExist) {
				continue
			}
		}
		possible = append(possible, mounts[i])
	}
	return possible, nil
}

// mappedUser returns the first mapped user and group of the container, 0 if there is no
// mapping.
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

func rewriteMount(mount *jsonObject, own map[specs.LinuxNamespaceType]bool, mapped map[string]uint32) error {
	var kind string
	var options []string
	if err := mount.get("type", &kind); err != nil {
		return err
	}
	if err := mount.get("options", &options); err != nil {
		return err
	}
	if host, ok := hostMounts[kind]; ok && !own[host.namespace] {
		if err := mount.set("type", "none"); err != nil {
			return err
		}
		if err := mount.set("source", host.path); err != nil {
			return err
		}
		return mount.set("options", append([]string{"rbind"}, options...))
	}
	kept := slices.DeleteFunc(slices.Clone(options), func(option string) bool {
		name, value, _ := strings.Cut(option, "=")
		// The kernel rejects ids that are not mapped with EINVAL.
		return (name == "uid" || name == "gid") && value != strconv.FormatUint(uint64(mapped[name]), 10)
	})
	if len(kept) == len(options) {
		return nil
	}
	return mount.set("options", kept)
}

var firstIndent = regexp.MustCompile(`^\s*\{\r?\n([ \t]+)"`)

// indentLike formats spec with the indentation of the text like, or in a single line if like
// is one.
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
