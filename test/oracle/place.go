package main

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/test/disk"
)

//go:embed interpreter
var sources embed.FS

// place is the directory of a run. It contains a root file system for each side.
type place struct {
	dir    string
	lock   *os.File // the directory, locked while it is in use
	binary string
	uid    int             // of the side of subuidless
	images map[string]bool // the file systems that are mounted in the directory, under their names

	accelerated bool // the side of subuidless accelerates processes, at their first call
}

// skeleton lists the directories in both root file systems. subuidless run mounts over
// some of them.
var skeleton = []string{"bin", "dev", "etc", "o", "proc", "run", "sys", "tmp", "w"}

// disks maps the file systems on disk to their magic numbers, statfs(2). The interpreters mount
// the others.
var disks = map[string]int64{"btrfs": unix.BTRFS_SUPER_MAGIC, "ext4": unix.EXT4_SUPER_MAGIC, "xfs": unix.XFS_SUPER_MAGIC}

// binaries are the paths of the binaries that a place uses. It builds those that are "".
type binaries struct {
	subuidless  string
	interpreter string // linked statically
}

// newPlace makes what the two sides need in a new directory in parent. The goroutine must be locked to
// its thread, which gets a mount namespace of its own: so what a killed run has mounted ends with it.
func newPlace(parent string, use binaries, uid int) (_ *place, err error) {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return nil, fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("making all mounts private: %w", err)
	}
	dir, lock, err := makeLocked(parent)
	if err != nil {
		return nil, err
	}
	pl := &place{dir: dir, lock: lock, uid: uid, images: make(map[string]bool)}
	defer func() {
		if err != nil {
			err = errors.Join(err, pl.remove())
		}
	}()
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	if err := pl.build(&use); err != nil {
		return nil, err
	}
	pl.binary = use.subuidless
	for side, owner := range map[string]int{"root": 0, "user": uid} {
		dirs := []string{"", "w", "home", "root"}
		for _, name := range skeleton {
			dirs = append(dirs, "root/"+name)
		}
		for _, name := range dirs {
			d := pl.path(side, name)
			if err := errors.Join(os.Mkdir(d, 0o755), os.Chown(d, owner, owner)); err != nil {
				return nil, err
			}
		}
		b, err := os.ReadFile(use.interpreter)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(pl.path(side, "root/bin/interpreter"), b, 0o755); err != nil {
			return nil, err
		}
	}
	return pl, nil
}

// makeLocked creates a directory for a run in parent, and removes those of runs that were
// killed.
func makeLocked(parent string) (dir string, lock *os.File, err error) {
	above, err := flock(parent, unix.LOCK_EX) // so that no other run removes the new one
	if err != nil {
		return "", nil, err
	}
	defer above.Close()
	const prefix = "subuidless-oracle-"
	found, err := filepath.Glob(filepath.Join(parent, prefix+"*"))
	if err != nil {
		return "", nil, err
	}
	for _, left := range found {
		unused, err := flock(left, unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, os.ErrNotExist) {
			continue // it runs, or has just removed its directory
		}
		if err != nil {
			return "", nil, err
		}
		if err := errors.Join(os.RemoveAll(left), unused.Close()); err != nil {
			return "", nil, err
		}
	}
	if dir, err = os.MkdirTemp(parent, prefix); err != nil {
		return "", nil, err
	}
	lock, err = flock(dir, unix.LOCK_EX)
	return dir, lock, err
}

// flock opens and locks a directory.
func flock(dir string, how int) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), how); err != nil {
		return nil, errors.Join(fmt.Errorf("flock %s: %w", dir, err), f.Close())
	}
	return f, nil
}

func (pl *place) path(elem ...string) string {
	return filepath.Join(append([]string{pl.dir}, elem...)...)
}

// build compiles the binaries that are missing.
func (pl *place) build(use *binaries) error {
	var builds [][]string
	if use.interpreter == "" {
		if err := os.CopyFS(pl.dir, sources); err != nil {
			return err
		}
		use.interpreter = pl.path("interpreter", "interpreter")
		builds = append(builds, []string{"gcc", "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-O2", "-Wall", "-Wextra", "-Werror",
			"-o", use.interpreter, pl.path("interpreter", "interpreter.c")})
	}
	if use.subuidless == "" {
		use.subuidless = pl.path("subuidless")
		builds = append(builds, []string{"go", "build", "-buildvcs=false", "-o", use.subuidless, "github.com/rootless-containers/subuidless/cmd/subuidless"})
	}
	for _, argv := range builds {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, out)
		}
	}
	return nil
}

// sidecar is the directory in which subuidless keeps records of inodes that cannot carry
// the attribute.
func (pl *place) sidecar() string { return pl.path("user", "home", "sidecar") }

// remove unmounts the images and removes the directory.
func (pl *place) remove() error {
	var errs []error
	for fs := range pl.images {
		errs = append(errs, unix.Unmount(pl.path(fs), unix.MNT_DETACH))
	}
	return errors.Join(append(errs, os.RemoveAll(pl.dir), pl.lock.Close())...)
}

// mount mounts a file system on disk that the place is not on, from a new image.
func (pl *place) mount(fs string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(pl.dir, &st); err != nil {
		return fmt.Errorf("statfs %s: %w", pl.dir, err)
	}
	if st.Type == disks[fs] || pl.images[fs] {
		return nil
	}
	if err := os.Mkdir(pl.path(fs), 0o755); err != nil {
		return err
	}
	if err := disk.Mount(fs, pl.path(fs+".img"), pl.path(fs)); err != nil {
		return err
	}
	pl.images[fs] = true
	for side, owner := range map[string]int{"root": 0, "user": pl.uid} {
		if err := errors.Join(os.Mkdir(pl.path(fs, side), 0o755), os.Chown(pl.path(fs, side), owner, owner)); err != nil {
			return err
		}
	}
	return nil
}

// volume returns the directory of a side on a file system on disk.
func (pl *place) volume(side, fs string) string {
	if pl.images[fs] {
		return pl.path(fs, side)
	}
	return pl.path(side, "w")
}

// realRoot returns the side of real root, which has its own mount, PID and network namespaces.
func (pl *place) realRoot(fs string) *side {
	return &side{name: "real root", start: func() *exec.Cmd {
		source := "-"
		if disks[fs] != 0 {
			source = pl.volume("root", fs)
		}
		cmd := exec.Command(pl.path("root", "root/bin/interpreter"), "--interpret", fs, pl.path("root", "root"), source)
		cmd.Env = []string{}
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET, Setpgid: true, Pdeathsig: unix.SIGKILL}
		return cmd
	}}
}

// user returns the side of subuidless, which runs as a user without subordinate ids.
func (pl *place) user(fs string) *side {
	return &side{name: "subuidless", start: func() *exec.Cmd {
		argv := []string{"run", "--read-only", "--net", "none", "--sidecar", pl.sidecar()}
		if disks[fs] != 0 {
			argv = append(argv, "--volume", pl.volume("user", fs)+":/w")
		}
		interpret := "--interpret"
		if pl.accelerated {
			argv = append(argv, "--accelerate=on", "--accelerate-after=1")
			interpret = "--interpret-accelerated"
		}
		argv = append(argv, pl.path("user", "root"), "--", "/bin/interpreter", interpret, fs)
		cmd := exec.Command(pl.binary, argv...)
		cmd.Env = []string{"HOME=" + pl.path("user", "home"), "PATH=" + os.Getenv("PATH")}
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(pl.uid), Gid: uint32(pl.uid)}, Setpgid: true, Pdeathsig: unix.SIGKILL}
		return cmd
	}}
}
