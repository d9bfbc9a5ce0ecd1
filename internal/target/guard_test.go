package target

import (
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// A recorder is a guard that allows everything and counts the questions. Like a handler,
// it overwrites the status that the caller of Open passes in.
type recorder struct {
	passable                           bool // every user may search all directories
	passed, searched, followed, jumped int
	out                                unix.Stat_t
	wrong                              bool // a status had the wrong file type
}

func (r *recorder) Restricted() bool { return true }

func (r *recorder) note(count *int, st *unix.Stat_t, kind uint32) unix.Errno {
	*count++
	r.wrong = r.wrong || st.Mode&unix.S_IFMT != kind
	r.out = unix.Stat_t{}
	return 0
}

func (r *recorder) Passable(_ *byte, st *unix.Stat_t) bool {
	return r.passable && r.note(&r.passed, st, unix.S_IFDIR) == 0
}

func (r *recorder) Search(_ int, st *unix.Stat_t) unix.Errno {
	return r.note(&r.searched, st, unix.S_IFDIR)
}

func (r *recorder) Follow(_, _ int, st *unix.Stat_t) unix.Errno {
	return r.note(&r.followed, st, unix.S_IFLNK)
}

func (r *recorder) Jump(_ int, st *unix.Stat_t) unix.Errno {
	return r.note(&r.jumped, st, unix.S_IFLNK)
}

// open opens the task's path under this guard, and checks that it leads to want.
func (r *recorder) open(s *subject, task *Task, path string, flags uint32, want string) Path {
	s.t.Helper()
	task.Guard = r
	p, e := task.Path(unix.AT_FDCWD, s.put(path), flags)
	if e != 0 {
		s.t.Fatalf("%s: %v", path, e)
	}
	fd, e := task.Open(p, &r.out)
	if e != 0 {
		s.t.Fatalf("%s: %v", path, e)
	}
	unix.Close(fd)
	if [2]uint64{r.out.Dev, r.out.Ino} != s.id(want) {
		s.t.Errorf("%s leads to another file than %s", path, want)
	}
	return p
}

func TestGuard(t *testing.T) {
	s := startTask(t)
	task := enter(t)
	task.Reset(uint32(s.pid))
	own := "/proc/" + strconv.Itoa(s.pid)
	for _, tt := range []struct {
		path                       string
		flags                      uint32
		searched, followed, jumped int
		want                       string
	}{
		{"file", 0, 1, 0, 0, "file"},
		{"sub/inner", 0, 2, 0, 0, "sub/inner"},
		{"sub/../file", 0, 3, 0, 0, "file"},
		{"link", 0, 2, 1, 0, "file"}, // searches the directory twice
		{"link", nofollow, 1, 0, 0, "link"},
		{"tosub/", nofollow, 2, 1, 0, "sub"}, // the link is the final component
		{"tosub/inner", 0, 3, 0, 0, "sub/inner"},
		{own + "/cwd", nofollow, 3, 0, 0, own + "/cwd"},
		{own + "/cwd/file", 0, 4, 0, 1, "file"},
		{own + "/cwd", 0, 3, 1, 1, "."},
	} {
		r := &recorder{}
		r.open(s, task, tt.path, tt.flags, tt.want)
		if r.wrong || r.searched != tt.searched || r.followed != tt.followed || r.jumped != tt.jumped {
			t.Errorf("%s: asked %+v, want %+v", tt.path, *r, tt)
		}
	}
}

// Directories that every user may search are not opened.
func TestGuardPassable(t *testing.T) {
	s := startTask(t)
	task := enter(t)
	task.Reset(uint32(s.pid))
	own := "/proc/" + strconv.Itoa(s.pid)
	for _, tt := range []struct {
		path                               string
		flags                              uint32
		passed, searched, followed, jumped int
		open                               bool // IsOpenToAll
		want                               string
	}{
		{"file", 0, 1, 0, 0, 0, true, "file"},
		{"./sub//inner", 0, 3, 0, 0, 0, true, "sub/inner"},
		{"sub/../file", 0, 3, 0, 0, 0, true, "file"},
		{"sub/", 0, 1, 0, 0, 0, false, "sub"},
		{"link", nofollow, 1, 0, 0, 0, true, "link"},
		{"link", 0, 1, 1, 1, 0, false, "file"},
		{"tosub/inner", 0, 1, 2, 0, 0, false, "sub/inner"},
		{"/", 0, 0, 0, 0, 0, false, "/"},
		{"//proc", 0, 1, 0, 0, 0, true, "/proc"},
		{own + "/cwd/file", 0, 3, 1, 0, 1, false, "file"},
	} {
		r := &recorder{passable: true}
		p := r.open(s, task, tt.path, tt.flags, tt.want)
		if r.wrong || r.passed != tt.passed || r.searched != tt.searched || r.followed != tt.followed || r.jumped != tt.jumped {
			t.Errorf("%s: asked %+v, want %+v", tt.path, *r, tt)
		}
		if got := task.IsOpenToAll(p); got != tt.open {
			t.Errorf("%s is open to all: %v", tt.path, got)
		}
	}
	p, e := task.Path(unix.AT_FDCWD, s.put("sub/none"), 0)
	if e != 0 || !task.IsOpenToAll(p) {
		t.Errorf("a missing name: %v, want it to be open to all", e)
	}
}

// protected_symlinks does not apply to a link in the directory part of a path, even though
// Parent makes it the final component.
func TestGuardOfParent(t *testing.T) {
	s := startTask(t)
	task := enter(t)
	task.Reset(uint32(s.pid))
	r := &recorder{}
	task.Guard = r
	dir, _, _, e := task.Parent(unix.AT_FDCWD, s.put("tosub/new"))
	if e != 0 {
		t.Fatal(e)
	}
	fd, e := task.OpenDirectory(dir, &r.out)
	if e != 0 {
		t.Fatal(e)
	}
	unix.Close(fd)
	if r.followed != 0 || r.searched != 3 {
		t.Errorf("asked %+v, want to search three directories", *r)
	}
}
