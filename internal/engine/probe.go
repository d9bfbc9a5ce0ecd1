package engine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/userns"
)

// ProbeName is argv[0] of the process that tries to mount an overlay: a process with this name
// must call ProbeMain.
const ProbeName = "subuidless-overlay-probe"

// overlayWorks reports whether root of a user namespace can mount an overlay whose directories
// are in dir, or in the file system in which dir will be. It depends on the kernel (5.11) and
// on that file system: NFS, for example, cannot hold the upper directory.
func overlayWorks(dir string) bool {
	for {
		if _, err := os.Stat(dir); err == nil || dir == "/" {
			break
		}
		dir = filepath.Dir(dir)
	}
	dir, err := os.MkdirTemp(dir, ".subuidless-overlay-")
	if err != nil {
		return false // the engine will say why it cannot write there
	}
	defer func() { _ = removeOverlay(dir) }()
	cmd := exec.Command("/proc/self/exe", dir)
	cmd.Args[0] = ProbeName
	cmd.SysProcAttr = userns.NewProcAttr(unix.CLONE_NEWNS)
	return cmd.Run() == nil
}

// removeOverlay removes the directories of an overlay. The kernel creates one without any
// permission in the work directory.
func removeOverlay(dir string) error {
	_ = os.Chmod(filepath.Join(dir, "work", "work"), 0o700) // there is none if the mount failed
	return os.RemoveAll(dir)
}

// ProbeMain is the main function of the process that tries to mount an overlay. It returns
// the exit status: 0 if that works. The mount ends with its namespace.
func ProbeMain() int {
	dir := os.Args[1]
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			return 1
		}
	}
	if err := os.Chdir(dir); err != nil { // the path may contain commas and colons
		return 1
	}
	if err := unix.Mount("overlay", "merged", overlay, 0, "userxattr,lowerdir=lower,upperdir=upper,workdir=work"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
