package target

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// cstring returns the NUL-terminated string at p.
func cstring(p *byte) string { return unix.BytePtrToString(p) }

func TestParent(t *testing.T) {
	s := startTask(t)
	task := enter(t)
	task.Reset(uint32(s.pid))
	tid := fmt.Sprint(s.pid)
	for _, tt := range []struct {
		path      string
		dir, name string
		slash     bool
	}{
		{"new", tid + "/cwd", "new", false},
		{"new//", tid + "/cwd", "new", true},
		{"sub/new", tid + "/cwd/sub", "new", false},
		{"sub//new/", tid + "/cwd/sub", "new", true},
		{"./sub/../new", tid + "/cwd/./sub/..", "new", false},
		{"sub/..", tid + "/cwd/sub", "..", false},
		{".", tid + "/cwd", ".", false},
		{"/new", "/", "new", false},
		{"//new", "/", "new", false},
		{"/a/b/new", "/a/b", "new", false},
		{"/", "/", ".", true},
		{"///", "/", ".", true},
	} {
		dir, name, slash, e := task.Parent(unix.AT_FDCWD, s.put(tt.path))
		if e != 0 {
			t.Errorf("%s: %v", tt.path, e)
			continue
		}
		if got := cstring(dir.Ptr); got != tt.dir || cstring(name) != tt.name || slash != tt.slash || !dir.Follow {
			t.Errorf("%s: %q, %q, %v, want %q, %q, %v", tt.path, got, cstring(name), slash, tt.dir, tt.name, tt.slash)
		}
	}
	dir, name, _, e := task.Parent(taskSub, s.put("new"))
	if want := fmt.Sprintf("%s/fd/%d", tid, taskSub); e != 0 || cstring(dir.Ptr) != want || cstring(name) != "new" {
		t.Errorf("relative to a descriptor: %q, %q, %v", cstring(dir.Ptr), cstring(name), e)
	}
	for path, want := range map[string]unix.Errno{"": unix.ENOENT, string(make256('x')) + padded("/new", 4096): unix.ENAMETOOLONG} {
		if _, _, _, e := task.Parent(unix.AT_FDCWD, s.put(path)); e != want {
			t.Errorf("%.20q: %v, want %v", path, e, want)
		}
	}
	if _, _, _, e := task.Parent(unix.AT_FDCWD, 1); e != unix.EFAULT {
		t.Errorf("a bad pointer: %v", e)
	}
}

// open(2) with O_CREAT follows a dangling link and makes its target.
func TestOpenParent(t *testing.T) {
	s := startTask(t)
	task := enter(t)
	task.Reset(uint32(s.pid))
	for link, target := range map[string]string{
		"one": "sub/new", "two": "one", "back": "./sub/../new", "abs": filepath.Join(s.dir, "sub/new"),
		"self": "/proc/self/cwd/sub/new", "slashed": "sub/new/", "nodir": "gone/new",
		"a": "b", "b": "a",
	} {
		if err := os.Symlink(target, filepath.Join(s.dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		path    string
		resolve uint64
		dir     string
		name    string
		slash   bool
		e       unix.Errno
	}{
		{"new", 0, ".", "new", false, 0},
		{"one", 0, "sub", "new", false, 0},
		{"two", 0, "sub", "new", false, 0},
		{"tosub/new", 0, "sub", "new", false, 0},
		{"back", 0, ".", "new", false, 0},
		{"abs", 0, "sub", "new", false, 0},
		{"self", 0, "sub", "new", false, 0},
		{"/proc/self/cwd/one", 0, "sub", "new", false, 0},
		{"slashed", 0, "sub", "new", true, 0},
		{"nodir", 0, "", "", false, unix.ENOENT},
		{"a", 0, "", "", false, unix.ELOOP},
		{"file/new", 0, "", "", false, unix.ENOTDIR},
		{"two", unix.RESOLVE_BENEATH, "sub", "new", false, 0},
		{"abs", unix.RESOLVE_BENEATH, "", "", false, unix.EXDEV},
		{"tosub/new", unix.RESOLVE_NO_SYMLINKS, "", "", false, unix.ELOOP},
		{"/sub/new", unix.RESOLVE_IN_ROOT, "sub", "new", false, 0},
		{"../../sub/new", unix.RESOLVE_IN_ROOT, "sub", "new", false, 0},
		{"/new", unix.RESOLVE_IN_ROOT, ".", "new", false, 0},
	} {
		p, e := task.Path(unix.AT_FDCWD, s.put(tt.path), 0)
		if e != 0 {
			t.Fatal(e)
		}
		var st unix.Stat_t
		parent, name, slash, e := task.OpenParent(p, tt.resolve, &st)
		if e != tt.e {
			t.Errorf("%s: %v, want %v", tt.path, e, tt.e)
		}
		if e != 0 {
			continue
		}
		unix.Close(parent)
		if got := [2]uint64{st.Dev, st.Ino}; got != s.id(tt.dir) || cstring(name) != tt.name || slash != tt.slash {
			t.Errorf("%s: %q, %v in inode %d, want %q, %v in %s", tt.path, cstring(name), slash, st.Ino, tt.name, tt.slash, tt.dir)
		}
	}
}

func devNull(t *testing.T) *os.File {
	t.Helper()
	f, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestAdoptUmask(t *testing.T) {
	task := enter(t)
	for _, mask := range []int{0, 0o022, 0o137, 0o777} {
		task.Reset(startShell(t, fmt.Sprintf("umask %o", mask), devNull(t), nil))
		if e := task.AdoptUmask(); e != 0 {
			t.Fatal(e)
		}
		if got := unix.Umask(0); got != mask {
			t.Errorf("umask %o, want %o", got, mask)
		}
	}
	task.Reset(1 << 30)
	if e := task.AdoptUmask(); e != unix.ESRCH {
		t.Errorf("of a task that is gone: %v", e)
	}
}

func TestHasFreeFDs(t *testing.T) {
	task := enter(t)
	for _, tt := range []struct {
		opens string // shell commands that open more than 0 to 4
		limit uint64
		n     int
		want  bool
	}{
		{"", 7, 1, true},
		{"", 7, 2, true},
		{"", 7, 3, false},
		{"", 5, 1, false},
		{"exec 6<&0", 7, 1, true}, // 5 is free
		{"exec 6<&0", 7, 2, false},
		{"exec 5<&0 6<&0", 7, 1, false},
		{"exec 8<&0 9<&0", 7, 2, true}, // opened before the limit was set
		{"", 0, 1, false},
	} {
		// Stop it before it executes another program, which would open libraries.
		pid := startShell(t, cmp.Or(tt.opens, ":")+"; echo ready >&3; kill -STOP $$", devNull(t), nil)
		t.Cleanup(func() { unix.Kill(int(pid), unix.SIGKILL) })
		task.Reset(pid)
		if err := unix.Prlimit(int(pid), unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: tt.limit, Max: 100}, nil); err != nil {
			t.Fatal(err)
		}
		if got := task.HasFreeFDs(tt.n); got != tt.want {
			t.Errorf("%q, limit %d: %d more descriptors: %v", tt.opens, tt.limit, tt.n, got)
		}
	}
}

func TestParentAllocatesNothing(t *testing.T) {
	s := startTask(t)
	task := enter(t)
	task.Reset(uint32(s.pid))
	addr := s.put("sub/new")
	if n := testing.AllocsPerRun(100, func() {
		if _, _, _, e := task.Parent(unix.AT_FDCWD, addr); e != 0 {
			t.Error(e)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
