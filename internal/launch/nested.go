package launch

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/idmap"
	"github.com/rootless-containers/subuidless/internal/supervisor"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// newProcAttr is userns.NewProcAttr, but maps all ids that the caller has if it is root of a
// supervised container: the supervisor emulates the new namespace, too, and only the ids that it
// maps exist there.
func newProcAttr(namespaces uintptr) *syscall.SysProcAttr {
	attr := userns.NewProcAttr(namespaces)
	if !supervisor.Active() || os.Geteuid() != 0 {
		return attr
	}
	uids, gids, err := ownIDs()
	if err != nil {
		slog.Warn("the container has one user only, because the ids of the outer one are not known", "err", err)
		return attr
	}
	// setgroups(2) stays allowed, as the caller has CAP_SETGID.
	attr.UidMappings, attr.GidMappings, attr.GidMappingsEnableSetgroups = uids, gids, true
	return attr
}

// ownIDs returns maps of all ids that the calling process, root of a supervised container, has, to
// themselves.
func ownIDs() (uids, gids []syscall.SysProcIDMap, err error) {
	// The supervisor shows its own maps from when a task of the container has changed its identity.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Setfsuid(1); err != nil {
		return nil, nil, os.NewSyscallError("setfsuid", err)
	}
	if err := unix.Setfsuid(0); err != nil {
		return nil, nil, os.NewSyscallError("setfsuid", err)
	}
	if uids, err = readMap("/proc/self/uid_map"); err != nil {
		return nil, nil, err
	}
	gids, err = readMap("/proc/self/gid_map")
	return uids, gids, err
}

// readMap returns a map of the ids that are mapped in the calling process's user namespace, to
// themselves. File is its uid_map or gid_map.
func readMap(file string) ([]syscall.SysProcIDMap, error) {
	// With --permissions=off, only opens without further flags are notified.
	fd, err := unix.Open(file, unix.O_RDONLY, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: file, Err: err}
	}
	f := os.NewFile(uintptr(fd), file)
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	m, e := idmap.Parse(b)
	if e != 0 {
		return nil, fmt.Errorf("%s (%q): %w", file, b, e)
	}
	own := make([]syscall.SysProcIDMap, len(m))
	for i, x := range m {
		own[i] = syscall.SysProcIDMap{ContainerID: int(x.Inside), HostID: int(x.Inside), Size: int(x.Count)}
	}
	return own, nil
}
