package target

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// memory is the address in the task where the tests put strings, and pages the number of
// pages there. The page after them is not mapped.
const (
	memory = 0x1000_0000_0000
	pages  = 3
)

// The task's descriptors, besides its standard input, output and error.
const (
	taskMemory = 3 + iota
	taskSub    // the directory sub, O_PATH
	taskFile   // file, for reading
	taskLink   // link itself, O_PATH
	taskWrite  // sub/inner, for writing

	taskNone = 900 // not open
)

// runTask is the main function of a task: it maps its memory, and waits to be killed.
func runTask() {
	size := uintptr((pages + 1) * os.Getpagesize())
	if _, _, e := unix.Syscall6(unix.SYS_MMAP, memory, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED_NOREPLACE, taskMemory, 0); e != 0 {
		panic(e)
	}
	page := uintptr(os.Getpagesize())
	if _, _, e := unix.Syscall(unix.SYS_MUNMAP, memory+pages*page, page, 0); e != 0 {
		panic(e)
	}
	fmt.Println("ready")
	_, _ = io.ReadAll(os.Stdin)
}

// subject is a running task under test.
type subject struct {
	t   testing.TB
	pid int
	dir string // its working directory
	mem []byte // its memory, shared
}

// startTask starts a task in a directory with these files:
//
//	file  sub/inner  out (its standard output)
//	link -> file     dangling -> none     loop -> loop
//	and links into its own part of /proc.
func startTask(t testing.TB) *subject {
	t.Helper()
	s := &subject{t: t, dir: t.TempDir()}
	s.mkdir("sub")
	s.write("file")
	s.write("sub/inner")
	for name, target := range map[string]string{
		"link": "file", "dangling": "none", "loop": "loop", "tosub": "sub", "absolute": filepath.Join(s.dir, "file"),
		"toout": "/dev/stdout", "totoout": "toout", "tofd": "/proc/self/fd/" + strconv.Itoa(taskFile),
		"tofds": "/proc/self/fd", "toself": "/proc/self", "selfloop": "/proc/self/cwd/selfloop",
		"toinner": "/proc/self/fd/" + strconv.Itoa(taskSub) + "/inner",
	} {
		if err := os.Symlink(target, filepath.Join(s.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	out, err := os.Create(filepath.Join(s.dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.MemfdCreate("memory", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	mem := os.NewFile(uintptr(fd), "memory")
	if err := mem.Truncate(int64((pages + 1) * os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	if s.mem, err = unix.Mmap(fd, 0, pages*os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), taskMode+"=1")
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	cmd.ExtraFiles = []*os.File{mem, s.open("sub", unix.O_PATH), s.open("file", unix.O_RDONLY),
		s.open("link", unix.O_PATH|unix.O_NOFOLLOW), s.open("sub/inner", unix.O_WRONLY)}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, f := range append(cmd.ExtraFiles, out) {
		f.Close()
	}
	t.Cleanup(func() {
		stdin.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = unix.Munmap(s.mem)
	})
	s.pid = cmd.Process.Pid
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) { // until it says "ready"
		b, err := os.ReadFile(filepath.Join(s.dir, "out"))
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 0 {
			return s
		}
	}
	t.Fatal("the task has not started within a minute")
	return nil
}

func (s *subject) mkdir(name string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Join(s.dir, name), 0o700); err != nil {
		s.t.Fatal(err)
	}
}

func (s *subject) write(name string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), nil, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *subject) open(name string, flags int) *os.File {
	s.t.Helper()
	fd, err := unix.Open(filepath.Join(s.dir, name), flags|unix.O_CLOEXEC, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), name)
}

// put writes text and a NUL to the task's memory, and returns its address.
func (s *subject) put(text string) uintptr {
	copy(s.mem, text)
	s.mem[len(text)] = 0
	return memory
}

// id returns the device and inode number of path, relative to the task's directory.
func (s *subject) id(path string) [2]uint64 {
	s.t.Helper()
	if path[0] != '/' {
		path = filepath.Join(s.dir, path)
	}
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		s.t.Fatalf("lstat %s: %v", path, err)
	}
	return [2]uint64{st.Dev, st.Ino}
}
