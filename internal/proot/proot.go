// Package proot runs commands as proot(1) does: in another root directory, with files and
// directories of the host, in the host's namespaces otherwise.
//
// As root, owners are recorded with the files, as by subuidless exec and by PRoot's fork of
// rootless-containers. As another user, records are in memory and end with the command, since PRoot
// shows what the files have.
package proot

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/rootless-containers/subuidless/internal/identity"
	"github.com/rootless-containers/subuidless/internal/launch"
	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/supervisor"
)

// Options are the options of Run.
type Options struct {
	Args       []string // the command and its arguments; none: /bin/sh
	Root       string   // directory that becomes the root directory; empty: /
	Usual      []string // files and directories of the host to bind where they exist: OfUser, OfRoot
	Binds      []string // HOST[:GUEST]
	Dir        string   // working directory in the root directory; empty: that of the caller
	User       owner.ID // the ids of the command
	KillOnExit bool     // when the command ends, kill the processes that it leaves behind
	Summary    bool     // write a summary of all notifications: see launch.ExecOptions
	Supervisor supervisor.Config
}

// Files and directories of the host that -R and -S bind, besides the user's home directory. PRoot also
// binds /etc/mtab, which is a link into /proc by now, on the host as in root file systems.
var (
	OfUser = []string{
		"/etc/host.conf", "/etc/hosts", "/etc/hosts.equiv", "/etc/netgroup", "/etc/networks", "/etc/passwd", "/etc/group",
		"/etc/nsswitch.conf", "/etc/resolv.conf", "/etc/localtime", "/dev", "/sys", "/proc", "/tmp",
	}
	OfRoot = []string{"/etc/host.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf", "/dev", "/sys", "/proc", "/tmp"}
)

// Run runs a command, and returns its exit status. If err is not nil, the status is one of the
// Status constants of package launch.
func Run(o Options) (status int, err error) {
	view, err := o.view()
	if err != nil {
		return launch.StatusFailed, fmt.Errorf("proot: %w", err)
	}
	if len(o.Args) == 0 {
		o.Args = []string{"/bin/sh"}
	}
	exec := launch.ExecOptions{Args: o.Args, View: view, Summary: o.Summary, Supervisor: o.Supervisor}
	if o.User != (owner.ID{}) {
		exec.User = &identity.User{UID: o.User.UID, GID: o.User.GID, AdditionalGids: []uint32{o.User.GID}}
	}
	if exec.User != nil && !supervisor.Active() {
		records, err := owner.CreateTemporary(owner.TemporaryOptions{Real: &o.User})
		if err != nil {
			return launch.StatusFailed, fmt.Errorf("proot: %w", err)
		}
		defer func() {
			if e := records.Close(); e != nil && err == nil {
				status, err = launch.StatusFailed, e
			}
		}()
		exec.Supervisor.Records = records.File()
		exec.Supervisor.NoPermissions = true // the kernel knows what the user may do
	}
	if !o.KillOnExit || supervisor.Active() {
		return launch.Exec(exec)
	}
	if err := adoptOrphans(); err != nil {
		return launch.StatusFailed, fmt.Errorf("proot: --kill-on-exit: %w", err)
	}
	status, err = launch.Exec(exec)
	return status, errors.Join(err, killOrphans())
}

// view returns what the command sees of the host.
func (o *Options) view() (*launch.View, error) {
	v := new(launch.View)
	root, err := filepath.Abs(o.Root)
	if err != nil {
		return nil, err
	}
	if o.Root != "" && root != "/" {
		if st, err := os.Stat(root); err != nil {
			return nil, err
		} else if !st.IsDir() {
			return nil, fmt.Errorf("the root file system %s is not a directory", root)
		}
		v.Root = root
	}
	for _, name := range o.Usual {
		if _, err := os.Stat(name); err == nil && v.Root != "" {
			v.Binds = append(v.Binds, launch.Bind{Source: name, Target: name})
		}
	}
	for _, spec := range o.Binds {
		b, err := parseBind(spec)
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(b.Source); err != nil {
			fmt.Fprintf(os.Stderr, "proot warning: can't bind %s: %v\n", spec, err) // and PRoot goes on
			continue
		}
		if v.Root == "" && b.Source == b.Target {
			continue
		}
		v.Binds = append(v.Binds, b)
	}
	switch {
	case o.Dir != "" && !path.IsAbs(o.Dir):
		return nil, fmt.Errorf("the working directory %s must be an absolute path", o.Dir)
	case o.Dir != "":
		v.Dir = o.Dir
	case v.Root != "":
		if v.Dir, err = os.Getwd(); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// parseBind parses HOST[:GUEST].
func parseBind(spec string) (launch.Bind, error) {
	source, target, found := strings.Cut(spec, ":")
	if source == "" || found && target == "" {
		return launch.Bind{}, fmt.Errorf("%q is not of the form HOST[:GUEST]", spec)
	}
	if strings.HasSuffix(target, "!") {
		return launch.Bind{}, fmt.Errorf("-b %s: the ! is not supported, as a symbolic link cannot be a mount point; name the file that it leads to", spec)
	}
	source, err := filepath.Abs(source)
	if err != nil {
		return launch.Bind{}, err
	}
	if !found {
		target = source
	}
	if target = path.Clean(target); !path.IsAbs(target) || target == "/" {
		return launch.Bind{}, fmt.Errorf("-b %s: the place in the root file system must be an absolute path below /", spec)
	}
	return launch.Bind{Source: source, Target: target}, nil
}
