package launch

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cgroup"
	"github.com/rootless-containers/subuidless/internal/image/overlay"
	"github.com/rootless-containers/subuidless/internal/isolation"
)

// The values of RunOptions.Net.
const (
	NetHost = "host" // use the host's network namespace
	NetNone = "none" // use a new network namespace, with a loopback interface only
)

// container is the configuration that the front sends to the init. Its names are those of
// the OCI runtime specification.
type container struct {
	Root     root
	Process  process
	Mounts   []volume
	Devices  []volume
	Extra    []Mount // mounted after Mounts
	Hostname string
	Hosts    []string
	Resolver []string
	Net      string
	Sysctls  []string
	Umask    int
	ShmSize  int64 // see RunOptions
	// Dirs are the directories to create if they do not exist.
	Dirs []string
	// Terminal requests a new terminal for the command.
	Terminal bool
	// Control means that the init has a control socket.
	Control bool
	// Supervised requests a filter for the command. It is false if an outer supervisor
	// handles its system calls already, and with Chroot.
	Supervised bool
	// Chroot means that chroot(2) alone separates the container from the host: see chroot.go.
	Chroot bool
	// NoPermissions selects the filter of syscalls.WithoutPermissions.
	NoPermissions bool
	// Accelerated selects the filter of syscalls.WithAcceleration, with tagged calls.
	Accelerated bool
	// CgroupNamespace requests a cgroup namespace.
	CgroupNamespace bool
	// HostRoot means that the mapped id is uid 0 of the host.
	HostRoot bool
	// Cgroup means that the container has a cgroup of its own.
	Cgroup bool

	procs *os.File // initProcs; nil: see Cgroup
}

type root struct {
	Path     string
	Readonly bool
	Overlay  *overlay.Mount // mounted on Path
}

type process struct {
	Args []string
	Env  []string
	Cwd  string
	User account

	Groups []string // further ones of each user
	Limits []string
}

// newContainer returns the configuration for o, and checks it against the host and the
// rootfs. Interactive means that the command gets a terminal.
func newContainer(o RunOptions, interactive bool) (*container, error) {
	mode := isolation.Current()
	rootfs, err := checkRootfs(o.Rootfs, o.ReadOnly || mode == isolation.Chroot)
	if err != nil {
		return nil, err
	}
	if o.Net != NetHost && o.Net != NetNone {
		return nil, fmt.Errorf("network %q: must be %s or %s", o.Net, NetHost, NetNone)
	}
	if o.Workdir == "" {
		o.Workdir = "/"
	}
	if !path.IsAbs(o.Workdir) {
		return nil, fmt.Errorf("working directory %q: must be an absolute path in the container", o.Workdir)
	}
	files := directoryTree(rootfs)
	r := root{Path: rootfs, Readonly: o.ReadOnly}
	if o.Layers != nil {
		files, r.Overlay = tree{o.Layers.Name, o.Layers.Open}, &o.Layers.Mount
	}
	user, err := lookUpUser(files, o.User, o.Groups)
	if err != nil {
		return nil, err
	}
	env, err := environment(o.Env, user.Home, interactive, os.LookupEnv)
	if err != nil {
		return nil, err
	}
	volumes, err := parseVolumes(o.Volumes)
	if err != nil {
		return nil, err
	}
	devices, err := parseDevices(o.Devices)
	if err != nil {
		return nil, err
	}
	if user.Without, err = o.droppedCapabilities(); err != nil {
		return nil, err
	}
	if err := o.Resources.Check(); err != nil {
		return nil, err
	}
	if err := o.CheckSysctls(); err != nil {
		return nil, err
	}
	umask, err := parseUmask(cmp.Or(o.Umask, DefaultUmask))
	if err != nil {
		return nil, err
	}
	if o.Net == NetNone && len(o.Ports) > 0 {
		return nil, errors.New("without a network, no ports can be published")
	}
	args, err := commandOrShell(files, o.Args)
	if err != nil {
		return nil, err
	}
	if mode == isolation.Chroot {
		if err := RefuseMounts(&o); err != nil {
			return nil, err
		}
	}
	hostRoot, err := isHostRoot()
	if err != nil {
		return nil, err
	}
	_, err = os.Stat("/proc/self/ns/cgroup")
	return &container{
		Root:            r,
		Process:         process{Args: args, Env: env, Cwd: o.Workdir, User: user, Groups: o.Groups, Limits: o.Limits},
		Mounts:          volumes,
		Devices:         devices,
		Extra:           o.Mounts,
		Hostname:        o.Hostname,
		Hosts:           o.Hosts,
		Resolver:        o.Resolver,
		Net:             o.Net,
		Sysctls:         o.Sysctls,
		Umask:           umask,
		ShmSize:         o.ShmSize,
		Dirs:            o.Dirs,
		Terminal:        interactive,
		Control:         o.Socket != "",
		Supervised:      mode == isolation.Namespaces,
		Chroot:          mode == isolation.Chroot,
		NoPermissions:   o.Supervisor.NoPermissions,
		Accelerated:     o.Supervisor.Accelerate > 0,
		CgroupNamespace: err == nil,
		HostRoot:        hostRoot,
		Cgroup:          o.Resources.Limited(),
	}, nil
}

// procAttr returns the attributes of the init, whose cgroup is group, or nil.
func (c *container) procAttr(group *cgroup.Group) *syscall.SysProcAttr {
	attr := new(syscall.SysProcAttr)
	if !c.Chroot {
		attr = newProcAttr(c.namespaces())
	}
	if group != nil {
		group.Place(attr)
		// The root of a new cgroup namespace is the cgroup of the caller: not that of the front.
		attr.Unshareflags |= attr.Cloneflags & unix.CLONE_NEWCGROUP
		attr.Cloneflags &^= unix.CLONE_NEWCGROUP
	}
	return attr
}

// namespaces returns the clone(2) flags for the container's namespaces, except for the user
// namespace.
func (c *container) namespaces() uintptr {
	var flags uintptr = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
	if c.CgroupNamespace {
		flags |= unix.CLONE_NEWCGROUP
	}
	if c.Net == NetNone {
		flags |= unix.CLONE_NEWNET
	}
	return flags
}

// checkRootfs returns the absolute path of the rootfs dir, or an error if it cannot be used. Anyone
// means that it may belong to any user.
func checkRootfs(dir string, anyone bool) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("rootfs %s: %w", dir, err)
	}
	var st unix.Stat_t
	switch err := unix.Stat(abs, &st); {
	case err == unix.ENOENT:
		return "", fmt.Errorf("rootfs %s: %w; unpack one there first, for example with umoci unpack --rootless (then give BUNDLE/rootfs) or mmdebstrap", dir, err)
	case err != nil:
		return "", fmt.Errorf("rootfs %s: %w", dir, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return "", fmt.Errorf("rootfs %s: %w; unpack an archive or image first, and give the directory", dir, unix.ENOTDIR)
	}
	if int(st.Uid) != os.Geteuid() && !anyone {
		return "", fmt.Errorf("rootfs %s: it belongs to uid %d, but you are uid %d, so root in the container could not change its files; use a copy of your own, or --read-only", dir, st.Uid, os.Geteuid())
	}
	if err := unix.Faccessat(unix.AT_FDCWD, abs, unix.R_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return "", fmt.Errorf("rootfs %s: no permission to read and search it: %w; try chmod u+rx %s", dir, err, dir)
	}
	return abs, nil
}

// tree is a rootfs that the front looks into.
type tree struct {
	name string // for messages
	// open opens a file like a process in the container.
	open func(name string, flags uint64) (*os.File, error)
}

// directoryTree returns the tree of a root file system that is a directory.
func directoryTree(rootfs string) tree {
	return tree{rootfs, func(name string, flags uint64) (*os.File, error) { return openInRootfs(rootfs, name, flags) }}
}

// commandOrShell returns args, or /bin/sh if there are none and the rootfs has it.
func commandOrShell(rootfs tree, args []string) ([]string, error) {
	if len(args) > 0 {
		return args, nil
	}
	f, err := rootfs.open("bin/sh", unix.O_PATH)
	if errors.Is(err, unix.ENOENT) {
		return nil, fmt.Errorf("no command given, and rootfs %s has no /bin/sh to run instead", rootfs.name)
	}
	if err != nil {
		return nil, err
	}
	return []string{"/bin/sh"}, f.Close()
}

// openInRootfs opens a file of a rootfs like a process in the container: symbolic links
// cannot lead out of the rootfs.
func openInRootfs(rootfs, name string, flags uint64) (*os.File, error) {
	dir, err := os.Open(rootfs)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	fd, err := unix.Openat2(int(dir.Fd()), name, &unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	runtime.KeepAlive(dir)
	if err != nil {
		return nil, fmt.Errorf("/%s in rootfs %s: %w", name, rootfs, err)
	}
	return os.NewFile(uintptr(fd), path.Join(rootfs, name)), nil
}

// isHostRoot reports whether the caller is uid 0 in the initial user namespace.
func isHostRoot() (bool, error) {
	initial, err := isolation.InInitialUserNamespace()
	if err != nil {
		return false, fmt.Errorf("checking whether the caller is the host's root: %w", err)
	}
	return initial && os.Geteuid() == 0, nil
}
