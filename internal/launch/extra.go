package launch

import (
	"fmt"
	"os"
	"path"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/overlay"
)

// Mount is a mount that the user or a RUN instruction of an image build asks for. Exactly one of
// Source, Layers and Tmpfs is set.
type Mount struct {
	Target   string         // absolute path in the container, below /
	Source   string         // file or directory of the host
	Layers   *overlay.Mount // a tree of layers
	Sub      string         // the path in Layers that is mounted, as a process whose root is the tree finds it
	Tmpfs    bool           // a new file system
	Size     int64          // of the tmpfs in bytes; 0: no limit
	Mode     uint32         // of its root directory; 0: 1777
	NoExec   bool           // no programs can be executed in the tmpfs
	Readonly bool
}

// open returns the detached mount.
func (m *Mount) open(scratch string) (*bind, error) {
	switch {
	case m.Tmpfs:
		tree, err := m.newTmpfs()
		if err != nil {
			return nil, err
		}
		return &bind{tree: tree, target: m.Target, dir: true, readonly: m.Readonly}, nil
	case m.Layers == nil:
		return openBind(m.Source, m.Target, m.Readonly)
	}
	// The tree is attached for a moment: open_tree(2) copies only from this namespace.
	if err := m.Layers.On(scratch); err != nil {
		return nil, err
	}
	top, err := unix.Open(scratch, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(top)
	fd, err := unix.Openat2(top, path.Join(".", m.Sub), &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", m.Sub, err)
	}
	defer unix.Close(fd)
	b, err := openBind("/proc/self/fd/"+strconv.Itoa(fd), m.Target, m.Readonly)
	if err != nil {
		return nil, err
	}
	if err := unix.Unmount("/proc/self/fd/"+strconv.Itoa(top), unix.MNT_DETACH); err != nil {
		return nil, fmt.Errorf("detaching the layers: %w", err)
	}
	return b, nil
}

// newTmpfs returns a detached mount of a new tmpfs.
func (m *Mount) newTmpfs() (*os.File, error) {
	context, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("fsopen(tmpfs): %w", err)
	}
	defer unix.Close(context)
	if m.Size > 0 {
		if err := unix.FsconfigSetString(context, "size", strconv.FormatInt(m.Size, 10)); err != nil {
			return nil, fmt.Errorf("creating a tmpfs of %d bytes: %w", m.Size, err)
		}
	}
	if m.Mode != 0 {
		if err := unix.FsconfigSetString(context, "mode", strconv.FormatUint(uint64(m.Mode), 8)); err != nil {
			return nil, fmt.Errorf("creating a tmpfs of mode %o: %w", m.Mode, err)
		}
	}
	if err := unix.FsconfigCreate(context); err != nil {
		return nil, fmt.Errorf("creating a tmpfs: %w", err)
	}
	attributes := unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	if m.NoExec {
		attributes |= unix.MOUNT_ATTR_NOEXEC
	}
	fd, err := unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, attributes)
	if err != nil {
		return nil, fmt.Errorf("creating a tmpfs: %w", err)
	}
	return os.NewFile(uintptr(fd), "tmpfs"), nil
}
