package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/isolation"
)

// With isolation.Chroot, a container has no namespaces of its own, and nothing can be mounted:
//
//   - The init stays outside. The stage of each command changes the root directory, and the first
//     one makes devices and copies of the host's network files there.
//   - There is no /proc and no /sys.
//   - The init is the subreaper of the container's processes, and kills what is left when the
//     command ends: there is no PID namespace that the kernel would end.

// RefuseMounts returns an error if o wants what needs namespaces or mounts, which
// isolation.Chroot does not have.
func RefuseMounts(o *RunOptions) error {
	for _, x := range []struct {
		what   string
		wanted bool
	}{
		{"--network=" + NetNone, o.Net == NetNone},
		{"--volume", len(o.Volumes) > 0},
		{"--device", len(o.Devices) > 0},
		{"--hostname", o.Hostname != ""},
		{"--read-only", o.ReadOnly},
		{"--sysctl", len(o.Sysctls) > 0},
		{"--shm-size", o.ShmSize > 0},
		{"a mount in a RUN instruction", len(o.Mounts) > 0},
		{"a root file system of overlayfs", o.Layers != nil},
	} {
		if x.wanted {
			return fmt.Errorf("%s %w", x.what, isolation.ErrNeedsNamespaces)
		}
	}
	return nil
}

// chroot says where a stage executes its command.
type chroot struct {
	Root  string // absolute path
	Dir   string // working directory in it
	SetUp bool   // make devices and so on there first
	Dirs  []string
	Hosts []string

	Resolver []string
}

// String returns c as enterChroot parses it, "" for nil.
func (c *chroot) String() string {
	if c == nil {
		return ""
	}
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // plain data
	}
	return string(b)
}

// chroot returns where the stages of c execute their commands; nil: in the root directory of the
// init.
func (c *container) chroot(dir string, setUp bool) *chroot {
	if !c.Chroot {
		return nil
	}
	return &chroot{Root: c.Root.Path, Dir: dir, SetUp: setUp, Dirs: c.Dirs, Hosts: c.Hosts, Resolver: c.Resolver}
}

// enterChroot changes the root and the working directory of the calling process to those in text.
// An empty text means that they do not change.
func enterChroot(text string) error {
	if text == "" {
		return nil
	}
	c := new(chroot)
	if err := json.Unmarshal([]byte(text), c); err != nil {
		return fmt.Errorf("%q does not describe a root directory: %w", text, err)
	}
	var files []networkFile
	if c.SetUp { // before the host's files are out of reach
		var err error
		if files, err = networkFiles("", c.Hosts, c.Resolver); err != nil {
			return err
		}
	}
	if err := os.Chdir(c.Root); err != nil {
		return fmt.Errorf("rootfs: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("rootfs %s: chroot: %w", c.Root, err)
	}
	if c.SetUp {
		if err := c.setUp(files); err != nil {
			return err
		}
	}
	if err := os.Chdir(c.Dir); err != nil {
		return fmt.Errorf("working directory %s in the rootfs: %w", c.Dir, errnoOf(err))
	}
	return nil
}

// setUp makes devices, files and directories in the root directory. Apart from what it makes, the
// directories keep their times.
func (c *chroot) setUp(files []networkFile) error {
	defer unix.Umask(unix.Umask(0))
	err := keepTimes([]string{"/", "/etc"}, func() error {
		if err := makeDevices(); err != nil {
			return err
		}
		for _, f := range files {
			if err := replaceFile(f.target, f.content); err != nil {
				return fmt.Errorf("creating the container's %s: %w", f.target, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, dir := range c.Dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("creating the directory %s in the rootfs: %w", dir, errnoOf(err))
		}
	}
	return nil
}

// keepTimes calls f, and then gives the directories, if they existed, their times back.
func keepTimes(dirs []string, f func() error) error {
	times := map[string][]unix.Timespec{}
	for _, dir := range dirs {
		var st unix.Stat_t
		if unix.Stat(dir, &st) == nil {
			times[dir] = []unix.Timespec{st.Atim, st.Mtim}
		}
	}
	if err := f(); err != nil {
		return err
	}
	for dir, t := range times {
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, dir, t, 0); err != nil {
			return fmt.Errorf("restoring the times of %s: %w", dir, err)
		}
	}
	return nil
}

// nodes are the device nodes of a container that has no mounts: those in devices.
var nodes = []struct {
	name         string
	major, minor uint32 // devices.txt of the kernel
}{
	{"/dev/null", 1, 3}, {"/dev/zero", 1, 5}, {"/dev/full", 1, 7}, {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},
}

// makeDevices makes what programs expect in /dev, unless it is there.
func makeDevices() error {
	for _, dir := range []string{"/dev", "/dev/pts"} {
		if err := makeDir(dir); err != nil {
			return err
		}
	}
	if err := makeDir("/dev/shm"); err != nil {
		return err
	}
	if err := os.Chmod("/dev/shm", os.ModeSticky|0o777); err != nil {
		return err
	}
	for _, n := range nodes {
		rdev := unix.Mkdev(n.major, n.minor)
		var st unix.Stat_t
		if unix.Lstat(n.name, &st) == nil {
			if st.Mode == unix.S_IFCHR|0o666 && st.Rdev == rdev {
				continue
			}
			if err := os.Remove(n.name); err != nil {
				return err
			}
		}
		if err := unix.Mknod(n.name, unix.S_IFCHR|0o666, int(rdev)); err != nil {
			return fmt.Errorf("creating %s: mknod: %w (the device cgroup of the outer container must allow it)", n.name, err)
		}
	}
	for _, link := range deviceLinks {
		if err := os.Symlink(link[0], link[1]); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

// replaceFile makes content that of the file name.
func replaceFile(name string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	// What is there may be a symbolic link.
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.WriteFile(name, content, 0o644)
}

// setUpChroot prepares the init of a container without namespaces.
func (c *container) setUpChroot() error {
	unix.Umask(c.Umask)
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl(PR_SET_CHILD_SUBREAPER): %w", err)
	}
	return nil
}

// killRest kills what is left of the container when its init exits, unless the kernel does so
// because the init is that of a PID namespace. As the init is a subreaper, all processes of the
// container become its children in the end.
func killRest() {
	for os.Getpid() != 1 {
		for _, pid := range descendants(os.Getpid(), false) {
			_ = unix.Kill(pid, unix.SIGKILL) // it may have ended
		}
		if _, err := unix.Wait4(-1, nil, 0, nil); err != nil && err != unix.EINTR {
			return
		}
	}
}

// descendants returns the process ids of the children of a process, and if all is set also of
// theirs.
func descendants(pid int, all bool) []int {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	children := map[int][]int{}
	for _, dir := range dirs {
		_, numbers, err := readStat(dir)
		if err != nil {
			continue // it has ended
		}
		if child, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			parent := int(numbers[1])
			children[parent] = append(children[parent], child)
		}
	}
	found := children[pid]
	for i := 0; all && i < len(found); i++ {
		found = append(found, children[found[i]]...)
	}
	return found
}
