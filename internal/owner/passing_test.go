package owner

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// mounted is a file system of a test: dir, with files in the directory "top", that can be mounted
// again.
type mounted struct {
	dir    string
	mount  func() error
	server *exec.Cmd // of FUSE
}

// serve mounts a FUSE file system with the command argv, which stays in the foreground.
func (m *mounted) serve(argv ...string) error {
	var printed bytes.Buffer
	m.server = exec.Command(argv[0], argv[1:]...)
	m.server.Stdout, m.server.Stderr = &printed, &printed
	if err := m.server.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		var fs unix.Statfs_t
		if unix.Statfs(m.dir, &fs) == nil && fs.Type == unix.FUSE_SUPER_MAGIC {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.Join(errors.New("it is not mounted after a minute"), m.server.Process.Kill(), m.server.Wait(), errors.New(printed.String()))
		}
	}
}

func (m *mounted) unmount() error {
	err := unix.Unmount(m.dir, 0)
	if err == nil && m.server != nil {
		err = m.server.Wait()
		m.server = nil
	}
	return err
}

// run runs a command, and returns its error with what it has printed.
func run(argv ...string) error {
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		return errors.Join(err, errors.New(string(out)))
	}
	return nil
}

// fileSystems are kinds of file systems. Lasting says that what is recorded about a file holds when
// the file system is mounted again.
var fileSystems = []struct {
	name    string
	lasting bool
	needs   string
	mount   func(m *mounted, work string) error
}{
	{"ext4", true, "mkfs.ext4", onDisk},
	{"xfs", true, "mkfs.xfs", onDisk},
	{"btrfs", true, "mkfs.btrfs", onDisk},
	{"overlay", true, "mount", func(m *mounted, work string) error {
		return unix.Mount("overlay", m.dir, "overlay", 0, "lowerdir="+work+"/lower,upperdir="+work+"/upper,workdir="+work+"/work")
	}},
	{"bindfs", false, "bindfs", func(m *mounted, work string) error { return m.serve("bindfs", "-f", work+"/upper", m.dir) }},
	{"mergerfs", false, "mergerfs", func(m *mounted, work string) error {
		return m.serve("mergerfs", "-f", work+"/upper", m.dir)
	}},
	{"unionfs-fuse", false, "unionfs", func(m *mounted, work string) error {
		return m.serve("unionfs", "-f", "-o", "cow", work+"/upper=RW:"+work+"/lower=RO", m.dir)
	}},
	{"ntfs-3g", false, "ntfs-3g", func(m *mounted, work string) error {
		image := work + "/image"
		if _, err := os.Stat(image); err != nil {
			if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, 32<<20), run("mkfs.ntfs", "-q", "-F", image)); err != nil {
				return err
			}
		}
		return m.serve("ntfs-3g", "-o", "no_detach", image, m.dir)
	}},
	{"gocryptfs", false, "gocryptfs", func(m *mounted, work string) error {
		encrypted := work + "/upper"
		if _, err := os.Stat(encrypted + "/gocryptfs.conf"); err != nil {
			if err := run("gocryptfs", "-q", "-init", "-scryptn", "10", "-extpass", "echo password", encrypted); err != nil {
				return err
			}
		}
		// In the background: it has a file of its own open there until it says that it is mounted.
		return run("gocryptfs", "-q", "-extpass", "echo password", encrypted, m.dir)
	}},
	{"sshfs", false, "sshfs", sftp},
	{"fuse-overlayfs", false, "fuse-overlayfs", func(m *mounted, work string) error {
		return m.serve("fuse-overlayfs", "-f", "-o", "lowerdir="+work+"/lower,upperdir="+work+"/upper,workdir="+work+"/work", m.dir)
	}},
}

// onDisk mounts the file system in the image of work, which is named after its kind, and makes it
// before.
func onDisk(m *mounted, work string) error {
	kind := filepath.Base(work)
	image := filepath.Join(work, "image")
	if _, err := os.Stat(image); err != nil {
		if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, 320<<20), run("mkfs."+kind, image)); err != nil {
			return err
		}
	}
	return run("mount", "-o", "loop", image, m.dir)
}

// An entry of the sidecar belongs to one inode: it never becomes that of an inode that gets the
// number of a removed one, nor of one that another mount gives the same number. Where inodes have
// an identity that lasts, it holds when the file system is mounted again.
func TestEntryStaysWithItsInode(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting file systems needs root")
	}
	for _, tt := range fileSystems {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := exec.LookPath(tt.needs); err != nil {
				t.Skip(err)
			}
			work := filepath.Join(t.TempDir(), tt.name)
			for _, d := range []string{"", "mount", "lower", "upper", "work"} {
				if err := os.Mkdir(filepath.Join(work, d), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			m := mounted{dir: filepath.Join(work, "mount")}
			m.mount = func() error { return tt.mount(&m, work) }
			enterMounts(t)
			m.test(t, tt.lasting)
		})
	}
}

// enterMounts gives the test's thread a mount namespace of its own, with fusectl. The thread ends
// with the test.
func enterMounts(t *testing.T) {
	t.Helper()
	enterProc(t)
	err := errors.Join(
		unix.Unshare(unix.CLONE_NEWNS),
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Chdir("/proc"),
	)
	if fusectl := unix.Mount("fusectl", "/sys/fs/fuse/connections", "fusectl", 0, ""); fusectl != unix.EBUSY { // it is mounted
		err = errors.Join(err, fusectl)
	}
	if err != nil {
		t.Fatal(err)
	}
	before := fuseConnections
	fuseConnections = sync.OnceValue(openFUSEConnections)
	t.Cleanup(func() { fuseConnections = before })
}

// test records owners of files, and looks for them.
func (m *mounted) test(t *testing.T, lasting bool) {
	side := openSidecar(t, t.TempDir())
	store := NewStore(ID{}, side)
	if err := m.mount(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.unmount(); err != nil {
			t.Error(err)
		}
	}()
	path := func(name string) string { return filepath.Join(m.dir, name) }
	create := func(name string) {
		t.Helper()
		if err := os.WriteFile(path(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string, do func(fd int, k *key)) {
		t.Helper()
		fd, err := unix.Open(path(name), unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd) // not at the end of the test: the file system is to be unmounted
		var k key
		if e := k.fill(fd, sys.Empty, unix.AT_EMPTY_PATH); e != 0 {
			t.Fatal(e)
		}
		do(fd, &k)
	}
	record := func(name string) {
		t.Helper()
		at(name, func(fd int, k *key) {
			if e := side.set(k, &Record{ID: ID{7, 8}}); e != 0 {
				t.Fatal(e)
			}
			store.keepPassing(fd, k)
		})
	}
	recorded := func(name string) (ok bool) {
		t.Helper()
		at(name, func(_ int, k *key) {
			var r Record
			ok = side.get(k, &r)
		})
		return ok
	}

	create("kept")
	record("kept")
	create("removed")
	record("removed")
	if !recorded("kept") {
		t.Error("what has been recorded is not found")
	}
	if err := os.Remove(path("removed")); err != nil {
		t.Fatal(err)
	}
	if lasting {
		waitForTick(t)
	} else {
		eventually(t, side, 1)
	}
	for i := range 20 { // one of them may get its number
		name := strconv.Itoa(i)
		if create(name); recorded(name) {
			t.Errorf("the new file %s has the record of a removed one", name)
		}
	}
	if err := errors.Join(m.unmount(), m.mount()); err != nil {
		t.Fatal(err)
	}
	for i := range 20 { // in the order in which they get numbers
		if name := strconv.Itoa(i); recorded(name) {
			t.Errorf("after mounting again, %s has the record of another file", name)
		}
	}
	if got := recorded("kept"); got != lasting {
		t.Errorf("after mounting again, the record is found: %v; want %v", got, lasting)
	}
}

// waitForTick waits until files that are created have another birth time than those of before: the
// kernel's clock for times of files has steps of some milliseconds.
func waitForTick(t *testing.T) {
	t.Helper()
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &now); err != nil {
			t.Fatal(err)
		}
		if time.Unix(now.Unix()).After(start) {
			return
		}
	}
}

// sftp mounts a directory with sshfs, whose files have the numbers of the kernel's inodes.
func sftp(m *mounted, work string) error {
	// An sftp server at the other end of sshfs's standard streams.
	return m.serve("sh", "-c", `rm -f "$1/in"; mkfifo "$1/in" && /usr/lib/openssh/sftp-server <"$1/in" | exec sshfs -f -o passive ":$1/upper" "$2" >"$1/in"`, "sh", work, m.dir)
}
