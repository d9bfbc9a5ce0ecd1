package test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// firstID is where the search for the id of the tests begins.
const firstID = 4242

// freeID returns an id that nobody has: no name, no subordinate ids, no process.
func freeID() (int, error) {
	var taken []byte
	for _, name := range []string{"/etc/passwd", "/etc/group", "/etc/subuid", "/etc/subgid"} {
		b, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) {
			return 0, err
		}
		taken = append(append(taken, b...), '\n')
	}
	for id := firstID; id < firstID+1000; id++ {
		s := strconv.Itoa(id)
		if !bytes.Contains(taken, []byte(":"+s+":")) && !bytes.Contains(taken, []byte("\n"+s+":")) && len(processes(id, "")) == 0 {
			return id, nil
		}
	}
	return 0, fmt.Errorf("no free id from %d on", firstID)
}

// makePrivate mounts what the tests need in this process's own mount
// namespace. The work directory is a tmpfs: fast, and gone with the namespace.
func makePrivate(work string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", work, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mounting a tmpfs: %w", err)
	}
	// crun 1.8 refuses hybrid cgroups, which it knows by this mount.
	const unified = "/sys/fs/cgroup/unified"
	if _, err := os.Stat(unified); err == nil {
		if err := unix.Mount("tmpfs", unified, "tmpfs", 0, ""); err != nil {
			return fmt.Errorf("hiding %s: %w", unified, err)
		}
	}
	return nil
}

// mountOdd mounts file systems that are unlike the work directory's, for the user.
func mountOdd(work string, user int) error {
	for _, fs := range []struct{ name, kind, options string }{
		{"small", "tmpfs", "nr_inodes=8"}, // on tmpfs, attributes take the space of inodes
		{"ramfs", "ramfs", ""},            // has no extended attributes
	} {
		dir := filepath.Join(work, fs.name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(fs.kind, dir, fs.kind, 0, fs.options); err != nil {
			return fmt.Errorf("mounting %s: %w", fs.name, err)
		}
		if err := os.Chown(dir, user, user); err != nil {
			return err
		}
	}
	return nil
}

func unmountAll(work string) {
	if err := unix.Unmount(work, unix.MNT_DETACH); err != nil {
		fmt.Fprintln(os.Stderr, "unmounting the work directory:", err)
	}
}

// populate fills the work directory. All that the tests use is in it, as the
// repository may be where their user cannot go.
func populate(work string, user int) error {
	if err := os.Chmod(work, 0o755); err != nil {
		return err
	}
	for _, dir := range []string{"home", "tmp", "run", "state"} {
		dir = filepath.Join(work, dir)
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		if err := os.Chown(dir, user, user); err != nil {
			return err
		}
	}
	if err := os.CopyFS(filepath.Join(work, "testdata"), os.DirFS("testdata")); err != nil {
		return err
	}
	if err := linkRootfs(work); err != nil {
		return err
	}
	return build(work)
}

// build builds subuidless and the programs in testdata/src into bin, which will
// be in the PATH, and those of testdata/oracle next to their sources.
func build(work string) error {
	bin := filepath.Join(work, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	if err := copyFile(filepath.Join(bin, "tests"), "/proc/self/exe"); err != nil {
		return err
	}
	builds := [][]string{
		{"go", "build", "-buildvcs=false", "-o", bin, "../cmd/subuidless"},
		{"go", "build", "-buildvcs=false", "-o", bin, "./testdata/src/gochown"},
	}
	if _, err := exec.LookPath("gcc"); err == nil {
		for dir, out := range map[string]string{"testdata/src": bin, "testdata/oracle": oracle(work)} {
			sources, err := filepath.Glob(filepath.Join(dir, "*.c"))
			if err != nil {
				return err
			}
			for _, source := range sources {
				builds = append(builds, compile(source, out)...)
			}
		}
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

// compile returns the command to compile a C program, or none if this machine
// cannot.
func compile(source, dir string) [][]string {
	name := strings.TrimSuffix(filepath.Base(source), ".c")
	argv := []string{"gcc", "-static", "-O1", "-o", filepath.Join(dir, name), source}
	if strings.HasSuffix(name, "_i386") {
		if !canLink32() {
			return nil
		}
		argv = append(argv, "-m32")
	}
	return [][]string{argv}
}

// canLink32 tells whether gcc can make 32-bit programs.
func canLink32() bool {
	cmd := exec.Command("gcc", "-m32", "-static", "-x", "c", "-o", "/dev/null", "-")
	cmd.Stdin = strings.NewReader("int main(void) { return 0; }")
	return cmd.Run() == nil
}

func copyFile(dst, src string) error {
	b, err := os.ReadFile(src)
	if err != nil {
		return err
	}
	return os.WriteFile(dst, b, 0o755)
}

// rootfsTar is where test/prepare keeps the Debian root file system.
func rootfsTar() (string, error) {
	cache := os.Getenv("SUBUIDLESS_CACHE")
	if cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(dir, "subuidless-test")
	}
	return filepath.Join(cache, "debian12.tar"), nil
}

// linkRootfs makes the cached root file system readable in the work directory
// as debian12.tar, if it is there.
func linkRootfs(work string) error {
	name, err := rootfsTar()
	if err != nil {
		return err
	}
	if _, err := os.Stat(name); err != nil {
		return nil
	}
	link := filepath.Join(work, "debian12.tar")
	if os.Getuid() != 0 {
		return os.Symlink(name, link)
	}
	// The cache may be where the tests' user cannot go; a mount always can be reached.
	if err := os.WriteFile(link, nil, 0o644); err != nil {
		return err
	}
	if err := unix.Mount(name, link, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind mount of %s: %w", name, err)
	}
	return nil
}

// removeAll removes a directory in which programs may have made directories
// that their owner cannot read.
func removeAll(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return os.RemoveAll(dir)
}
