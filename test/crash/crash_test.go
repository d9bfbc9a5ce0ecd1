// Package crash cuts the power, as far as a file system can see that: it kills everything, and goes on
// with a copy of the disk as it was at a random moment.
package crash

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/test/disk"
	"github.com/rootless-containers/subuidless/test/freeid"
)

var (
	cuts = flag.Int("cuts", 2, "cut the power this `number` of times")
	seed = flag.Uint64("seed", 1, "the `seed` of the random numbers")
)

// patience is how long something may take that takes an instant on an idle machine.
const patience = 3 * time.Minute

// How many events the test waits for before a cut. A step has four with files, and six with images.
const (
	maxFileEvents  = 40
	maxImageEvents = 8
)

func TestMain(m *testing.M) {
	if job := os.Getenv(jobVar); job != "" {
		if err := jobs[job](); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", job, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// machine is what loses its power: a disk, and the processes of one user.
type machine struct {
	*testing.T
	dir  string // of the test; what is not on the disk outlives the cuts
	user int
	rand *rand.Rand
	next int // number of the next copy of the disk

	running sync.WaitGroup // jobs
}

// TestPowerCut runs jobs that print what they begin to do and what is done (jobs_test.go), and
// examines after each cut whether everything that was done then is there, and the rest as before.
func TestPowerCut(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs real root: run the tests as root")
	}
	for _, program := range []string{"mkfs.ext4", "mkfs.btrfs", "busybox"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	m := start(t)
	l := &log{}
	for n := range *cuts {
		if t.Failed() {
			break
		}
		m.runJobs(l)
		if n%2 == 0 {
			l.awaitEvents(t, "images", 1+m.rand.IntN(maxImageEvents))
		} else {
			l.awaitEvents(t, "files", 1+m.rand.IntN(maxFileEvents))
		}
		time.Sleep(rand.N(20 * time.Millisecond)) // between two events
		promised := l.snapshot()
		m.copyDisk()
		m.killAll()
		m.running.Wait()
		m.replaceDisk()
		l.lose(promised)
		m.verify(l.snapshot())
	}
	survived := map[string]int{}
	for _, line := range keep(l.snapshot(), "done ") {
		survived[strings.Fields(line)[1]]++
	}
	t.Logf("%d cuts, what survived: %v", *cuts, survived)
	m.killAll()
	m.unmountDisk()
}

// start makes a machine. Its disk, of ext4, is a file on a btrfs, which copies it at one moment.
func start(t *testing.T) *machine {
	// The mounts and loop devices end with the thread.
	runtime.LockOSThread()
	if err := errors.Join(unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/var/tmp", "subuidless-crash-")
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{T: t, dir: dir, rand: rand.New(rand.NewPCG(*seed, 0))}
	id, reservation, err := freeid.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	m.user = id
	t.Cleanup(func() {
		for _, d := range []string{m.disk(), m.host()} {
			_ = unix.Unmount(d, unix.MNT_DETACH) // otherwise RemoveAll fails
		}
		if err := errors.Join(reservation.Close(), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	for _, d := range []string{m.host(), m.disk()} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"chmod", "755", dir}, {"cp", self, m.program()}, {"../../cmd/build", m.binary(), "-trimpath"}} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", command, err, out)
		}
	}
	err = disk.Mount("btrfs", filepath.Join(dir, "btrfs"), m.host())
	if err == nil {
		err = disk.Mount("ext4", m.image(), m.disk())
	}
	for _, d := range []string{"home", "files"} {
		if err == nil {
			err = errors.Join(os.Mkdir(filepath.Join(m.disk(), d), 0o755), os.Chown(filepath.Join(m.disk(), d), id, id))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	unix.Sync() // what was there long before
	return m
}

func (m *machine) host() string    { return filepath.Join(m.dir, "host") }
func (m *machine) disk() string    { return filepath.Join(m.dir, "disk") }
func (m *machine) program() string { return filepath.Join(m.dir, "program") }
func (m *machine) binary() string  { return filepath.Join(m.dir, "subuidless") }
func (m *machine) image() string   { return filepath.Join(m.host(), fmt.Sprint("disk", m.next)) }

// command returns a command of the user that runs a job in the directory of its files.
func (m *machine) command(job string, argv ...string) *exec.Cmd {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = filepath.Join(m.disk(), "files")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(m.disk(), "home"), "TMPDIR=" + m.runtimeDir(), "XDG_RUNTIME_DIR=" + m.runtimeDir(),
		jobVar + "=" + job, binaryVar + "=" + m.binary()}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(m.user), Gid: uint32(m.user)}}
	return cmd
}

// runtimeDir is the directory of what ends with the power.
func (m *machine) runtimeDir() string { return filepath.Join(m.dir, "run") }

// boot makes what exists when a machine has started.
func (m *machine) boot() {
	if err := errors.Join(os.RemoveAll(m.runtimeDir()), os.Mkdir(m.runtimeDir(), 0o700), os.Chown(m.runtimeDir(), m.user, m.user)); err != nil {
		m.Fatal(err)
	}
}

// runJobs starts the jobs, which run until they are killed.
func (m *machine) runJobs(l *log) {
	m.boot()
	for job, argv := range map[string][]string{"files": {m.binary(), "exec", "--", m.program()}, "images": {m.program()}} {
		cmd := m.command(job, argv...)
		cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d", firstVar, l.next()))
		r, w, err := os.Pipe() // closed by the last of its processes
		if err != nil {
			m.Fatal(err)
		}
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = w, w
		if err := cmd.Start(); err != nil {
			m.Fatal(err)
		}
		w.Close()
		m.running.Go(func() {
			defer r.Close()
			for lines := bufio.NewScanner(r); lines.Scan(); {
				if !l.note(lines.Text()) {
					fmt.Fprintf(&said, "%s\n", lines.Bytes())
				}
			}
			var killed *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &killed) || !killed.Sys().(syscall.WaitStatus).Signaled() {
				m.Errorf("%s has ended: %v\n%s", job, err, said.Bytes())
			}
		})
	}
}

// copyDisk copies the disk as it is now.
func (m *machine) copyDisk() {
	from, err := os.Open(m.image())
	if err != nil {
		m.Fatal(err)
	}
	defer from.Close()
	m.next++
	to, err := os.Create(m.image())
	if err != nil {
		m.Fatal(err)
	}
	defer to.Close()
	if err := unix.IoctlFileClone(int(to.Fd()), int(from.Fd())); err != nil {
		m.Fatal(err)
	}
}

// killAll kills all processes of the user.
func (m *machine) killAll() {
	cmd := exec.Command(m.program())
	cmd.Env = []string{jobVar + "=kill"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(m.user), Gid: uint32(m.user)}}
	if out, err := cmd.CombinedOutput(); err != nil {
		m.Errorf("%v: %s", err, out)
	}
}

// unmountDisk unmounts the disk when the processes that have been killed have ended.
func (m *machine) unmountDisk() {
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		err := unix.Unmount(m.disk(), 0)
		if err == nil {
			return
		}
		if err != unix.EBUSY || time.Now().After(end) {
			m.Fatal(err)
		}
	}
}

// replaceDisk mounts the copy instead of the disk.
func (m *machine) replaceDisk() {
	m.unmountDisk()
	if out, err := exec.Command("mount", "-o", "loop", m.image(), m.disk()).CombinedOutput(); err != nil {
		m.Fatalf("mount: %v %s", err, out)
	}
	if err := os.Remove(filepath.Join(m.host(), fmt.Sprint("disk", m.next-1))); err != nil {
		m.Error(err)
	}
}

// verify runs the jobs that examine what is there, and read what was done and begun.
func (m *machine) verify(events []string) {
	m.boot()
	for job, argv := range map[string][]string{"verify files": {m.binary(), "exec", "--", m.program()}, "verify images": {m.program()}} {
		cmd := m.command(job, argv...)
		cmd.Stdin = strings.NewReader(strings.Join(events, "\n"))
		if out, err := cmd.CombinedOutput(); err != nil {
			m.Errorf("%s: %v\n%s", job, err, out)
		}
	}
}

// keep returns the lines with a prefix.
func keep(lines []string, prefix string) (kept []string) {
	for _, line := range lines {
		if strings.HasPrefix(line, prefix) {
			kept = append(kept, line)
		}
	}
	return kept
}

// log is what the jobs have printed.
type log struct {
	mu    sync.Mutex
	lines []string
}

// note notes a line, and reports whether it is an event.
func (l *log) note(line string) bool {
	if !strings.HasPrefix(line, "begin ") && !strings.HasPrefix(line, "done ") {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	return true
}

func (l *log) snapshot() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

// lose forgets what was done after the log was the one that is promised.
func (l *log) lose(promised []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(keep(promised, "done "), keep(l.lines, "begin ")...)
}

// next returns a number that no step has had.
func (l *log) next() int {
	next := 0
	for _, line := range l.snapshot() {
		var n int
		if _, err := fmt.Sscanf(line, "begin %s %d", new(string), &n); err == nil {
			next = max(next, n+1)
		}
	}
	return next
}

// awaitEvents waits for more events of a job.
func (l *log) awaitEvents(t *testing.T, job string, more int) {
	count := func() (n int) {
		for _, line := range l.snapshot() {
			if jobOf[strings.Fields(line)[1]] == job {
				n++
			}
		}
		return n
	}
	first := count()
	for end := time.Now().Add(patience); count() < first+more; time.Sleep(time.Millisecond) {
		if t.Failed() || time.Now().After(end) {
			t.Fatalf("%s: no %d events: %q", job, more, l.snapshot())
		}
	}
}
