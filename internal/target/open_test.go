package target

import (
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	cwd      = unix.AT_FDCWD
	nofollow = unix.AT_SYMLINK_NOFOLLOW
	empty    = unix.AT_EMPTY_PATH
)

// TestOpen checks that a path leads the receiver where it leads the task. Want is
// relative to the task's directory, or absolute.
func TestOpen(t *testing.T) {
	s := startTask(t)
	task := enter(t)
	task.Reset(uint32(s.pid))
	file := "/proc/self/fd/" + strconv.Itoa(taskFile)
	link := "/proc/self/fd/" + strconv.Itoa(taskLink)
	sub := "/proc/self/fd/" + strconv.Itoa(taskSub)
	own := "/proc/" + strconv.Itoa(s.pid)
	for _, tt := range []struct {
		name  string
		dirfd int32
		path  string
		flags uint32
		want  string
		err   unix.Errno
	}{
		{name: "relative", dirfd: cwd, path: "file", want: "file"},
		{name: "relative, dot dot", dirfd: cwd, path: "sub/../file", want: "file"},
		{name: "relative, dot", dirfd: cwd, path: ".", want: "."},
		{name: "absolute", dirfd: cwd, path: s.dir + "/file", want: "file"},
		{name: "absolute, bad dirfd", dirfd: taskNone, path: s.dir + "/file", want: "file"},
		{name: "root", dirfd: cwd, path: "/", want: "/"},
		{name: "dirfd", dirfd: taskSub, path: "inner", want: "sub/inner"},
		{name: "dirfd, dot dot", dirfd: taskSub, path: "../file", want: "file"},
		{name: "empty path of a directory", dirfd: taskSub, path: "", flags: empty, want: "sub"},
		{name: "empty path of a file", dirfd: taskFile, path: "", flags: empty, want: "file"},
		{name: "empty path of a link", dirfd: taskLink, path: "", flags: empty, want: "link"},
		{name: "empty path, nofollow", dirfd: taskFile, path: "", flags: empty | nofollow, want: "file"},
		{name: "empty path of the working directory", dirfd: cwd, path: "", flags: empty, want: "."},
		{name: "AT_EMPTY_PATH with a path", dirfd: taskSub, path: "inner", flags: empty, want: "sub/inner"},
		{name: "empty path without AT_EMPTY_PATH", dirfd: taskSub, path: "", err: unix.ENOENT},

		{name: "link", dirfd: cwd, path: "link", want: "file"},
		{name: "link itself", dirfd: cwd, path: "link", flags: nofollow, want: "link"},
		{name: "absolute link", dirfd: cwd, path: "absolute", want: "file"},
		{name: "link on the way", dirfd: cwd, path: "tosub/inner", flags: nofollow, want: "sub/inner"},
		{name: "link and a slash", dirfd: cwd, path: "tosub/", flags: nofollow, want: "sub"},
		{name: "dangling link", dirfd: cwd, path: "dangling", err: unix.ENOENT},
		{name: "dangling link itself", dirfd: cwd, path: "dangling", flags: nofollow, want: "dangling"},
		{name: "loop", dirfd: cwd, path: "loop", err: unix.ELOOP},
		{name: "loop itself", dirfd: cwd, path: "loop", flags: nofollow, want: "loop"},

		{name: "missing", dirfd: cwd, path: "none", err: unix.ENOENT},
		{name: "missing in dirfd", dirfd: taskSub, path: "none", err: unix.ENOENT},
		{name: "below a file", dirfd: cwd, path: "file/x", err: unix.ENOTDIR},
		{name: "file and a slash", dirfd: cwd, path: "file/", err: unix.ENOTDIR},
		{name: "link to a file and a slash", dirfd: cwd, path: "link/", err: unix.ENOTDIR},
		{name: "dirfd is a file", dirfd: taskFile, path: "x", err: unix.ENOTDIR},
		{name: "bad dirfd", dirfd: taskNone, path: "x", err: unix.EBADF},
		{name: "negative dirfd", dirfd: -1, path: "x", err: unix.EBADF},
		{name: "bad dirfd, empty path", dirfd: taskNone, path: "", flags: empty, err: unix.EBADF},
		{name: "name of 256 bytes", dirfd: cwd, path: string(make256('x')), err: unix.ENAMETOOLONG},

		{name: "self/cwd", dirfd: cwd, path: "/proc/self/cwd/file", want: "file"},
		{name: "thread-self/cwd", dirfd: cwd, path: "/proc/thread-self/cwd/file", want: "file"},
		{name: "self/cwd itself, followed", dirfd: cwd, path: "/proc/self/cwd", want: "."},
		{name: "self/cwd/", dirfd: cwd, path: "/proc/self/cwd/", flags: nofollow, want: "."},
		{name: "self/root", dirfd: cwd, path: "/proc/self/root" + s.dir + "/file", want: "file"},
		{name: "self, then dot dot", dirfd: cwd, path: "/proc/self/../self/cwd/link", want: "file"},
		{name: "self", dirfd: cwd, path: "/proc/self", want: own},
		{name: "self/", dirfd: cwd, path: "/proc/self/", flags: nofollow, want: own},
		{name: "self itself", dirfd: cwd, path: "/proc/self", flags: nofollow, want: "/proc/self"},
		{name: "self/fd/N", dirfd: cwd, path: file, want: "file"},
		{name: "self/fd/N of a link", dirfd: cwd, path: link, want: "link"},
		{name: "self/fd/N and a name", dirfd: cwd, path: sub + "/inner", want: "sub/inner"},
		{name: "self/fd/N/..", dirfd: cwd, path: sub + "/../file", want: "file"},
		{name: "self/fd/N/, of a file", dirfd: cwd, path: file + "/", err: unix.ENOTDIR},
		{name: "self/fd/N not open", dirfd: cwd, path: "/proc/self/fd/" + strconv.Itoa(taskNone), err: unix.ENOENT},
		{name: "dev/fd", dirfd: cwd, path: "/dev/fd/" + strconv.Itoa(taskFile), want: "file"},
		{name: "dev/stdout", dirfd: cwd, path: "/dev/stdout", want: "out"},
		{name: "dev/stdout itself", dirfd: cwd, path: "/dev/stdout", flags: nofollow, want: "/dev/stdout"},
		{name: "by the id", dirfd: cwd, path: own + "/cwd/file", want: "file"},

		{name: "link to dev/stdout", dirfd: cwd, path: "toout", want: "out"},
		{name: "link to a link to dev/stdout", dirfd: cwd, path: "totoout", want: "out"},
		{name: "link to dev/stdout itself", dirfd: cwd, path: "toout", flags: nofollow, want: "toout"},
		{name: "absolute link to dev/stdout", dirfd: cwd, path: s.dir + "/toout", want: "out"},
		{name: "link to self/fd, and 1", dirfd: cwd, path: "tofds/1", want: "out"},
		{name: "loop through self", dirfd: cwd, path: "selfloop", err: unix.ELOOP},
		{name: "loop through self, named", dirfd: cwd, path: "/proc/self/cwd/selfloop", err: unix.ELOOP},
	} {
		// Not in a subtest, which would run on another thread.
		got, e := resolve(task, tt.dirfd, s.put(tt.path), tt.flags)
		if e != tt.err {
			t.Errorf("%s: error %v, want %v", tt.name, e, tt.err)
		} else if e == 0 && got != s.id(tt.want) {
			t.Errorf("%s: %s leads to another file than %s", tt.name, tt.path, tt.want)
		}
	}
}

// resolve opens the object that a path of the task names, and returns which it is.
func resolve(task *Task, dirfd int32, addr uintptr, flags uint32) ([2]uint64, unix.Errno) {
	p, e := task.Path(dirfd, addr, flags)
	if e != 0 {
		return [2]uint64{}, e
	}
	var st unix.Stat_t
	fd, e := task.Open(p, &st)
	if e != 0 {
		return [2]uint64{}, e
	}
	unix.Close(fd)
	return [2]uint64{st.Dev, st.Ino}, 0
}

func make256(c byte) []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = c
	}
	return b
}

// TestOpenLinksToSelf has paths that lead through /proc/self only by their links. They
// must lead to the task's files, not the supervisor's.
func TestOpenLinksToSelf(t *testing.T) {
	s := startTask(t)
	task := enter(t)
	task.Reset(uint32(s.pid))
	for path, want := range map[string]string{
		"tofd": "file", "toinner": "sub/inner", "toself/cwd/file": "file", "tofds/" + strconv.Itoa(taskFile): "file",
	} {
		if got, e := resolve(task, cwd, s.put(path), 0); e != 0 || got != s.id(want) {
			t.Errorf("%s: error %v, same file %v; want %s", path, e, got == s.id(want), want)
		}
	}
}

func TestNullPath(t *testing.T) {
	s := startTask(t)
	task := enter(t)
	task.Reset(uint32(s.pid))
	if got, e := resolve(task, taskSub, 0, empty); e != 0 || got != s.id("sub") {
		t.Errorf("NULL with AT_EMPTY_PATH: %v, want the directory", e)
	}
	if _, e := resolve(task, taskSub, 0, 0); e != unix.EFAULT {
		t.Errorf("NULL: %v, want EFAULT", e)
	}
	if _, e := resolve(task, cwd, 8, empty); e != unix.EFAULT {
		t.Errorf("bad address: %v, want EFAULT", e)
	}
}

// A task keeps its working directory when the directory is moved.
func TestMovedDirectory(t *testing.T) {
	s := startTask(t)
	task := enter(t)
	task.Reset(uint32(s.pid))
	want := s.id("file")
	moved := filepath.Join(t.TempDir(), "moved")
	if err := unix.Rename(s.dir, moved); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Rename(moved, s.dir) }()
	if got, e := resolve(task, cwd, s.put("file"), 0); e != 0 || got != want {
		t.Errorf("%v, want the file in the moved directory", e)
	}
}
