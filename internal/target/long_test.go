package target

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// padded returns a path of n bytes that leads where path leads.
func padded(path string, n int) string {
	pad := n - len(path)
	return strings.Repeat("./", pad/2) + strings.Repeat("/", pad%2) + path
}

// TestLongPaths checks relative paths that are short enough for the kernel, but too long
// with the supervisor's prefix.
func TestLongPaths(t *testing.T) {
	s := startTask(t)
	task := enter(t)
	const longest = unix.PathMax - 1
	deep := strings.Repeat(strings.Repeat("d", 199)+"/", 21)
	s.mkdir(deep[:600])
	name := strings.Repeat("n", 3000)
	for _, tt := range []struct {
		name  string
		dirfd int32
		path  string
		flags uint32
		want  string
		err   unix.Errno
	}{
		{name: "relative", dirfd: cwd, path: padded("sub/inner", longest), want: "sub/inner"},
		{name: "one less", dirfd: cwd, path: padded("sub/inner", longest-1), want: "sub/inner"},
		{name: "dirfd", dirfd: taskSub, path: padded("inner", longest), want: "sub/inner"},
		{name: "absolute", dirfd: cwd, path: "/" + padded(s.dir[1:]+"/file", longest-1), want: "file"},
		{name: "link", dirfd: cwd, path: padded("link", longest), want: "file"},
		{name: "link itself", dirfd: cwd, path: padded("link", longest), flags: nofollow, want: "link"},
		{name: "dangling link", dirfd: cwd, path: padded("dangling", longest), err: unix.ENOENT},
		{name: "slashes at the end", dirfd: cwd, path: "sub" + strings.Repeat("/", longest-3), want: "sub"},
		{name: "missing", dirfd: cwd, path: padded("none", longest), err: unix.ENOENT},
		{name: "missing on the way", dirfd: cwd, path: deep[:longest-5] + "/none", err: unix.ENOENT},
		{name: "file on the way", dirfd: cwd, path: "file/" + padded("x", longest-5), err: unix.ENOTDIR},
		{name: "name of 3000 bytes", dirfd: cwd, path: "sub/" + strings.Repeat("./", 500) + name, err: unix.ENAMETOOLONG},
		{name: "bad dirfd", dirfd: taskNone, path: padded("x", longest), err: unix.EBADF},
		{name: "link to dev/stdout", dirfd: cwd, path: padded("toout", longest), want: "out"},
		{name: "self", dirfd: cwd, path: strings.Repeat("../", 40) + padded("proc/self/fd/"+strconv.Itoa(taskSub)+"/inner", longest-120), want: "sub/inner"},
		{name: "self at the start", dirfd: cwd, path: strings.Repeat("../", 40) + "proc/self/cwd/" + padded("file", longest-134), want: "file"},
		{name: "4096 bytes", dirfd: cwd, path: padded("file", longest+1), err: unix.ENAMETOOLONG},
		{name: "4096 bytes, bad dirfd", dirfd: taskNone, path: padded("file", longest+1), err: unix.ENAMETOOLONG},
	} {
		task.Reset(uint32(s.pid))
		got, e := resolve(task, tt.dirfd, s.put(tt.path), tt.flags)
		if e != tt.err {
			t.Errorf("%s: error %v, want %v", tt.name, e, tt.err)
		} else if e == 0 && got != s.id(tt.want) {
			t.Errorf("%s: another file than %s", tt.name, tt.want)
		}
	}
	task.Reset(0)
	if task.longDir >= 0 {
		t.Error("Reset does not close the descriptor of a long path")
	}
}

// Handlers pass Ptr to system calls unless ViaProcSelf is true.
func TestPtr(t *testing.T) {
	s := startTask(t)
	task := enter(t)
	tid := strconv.Itoa(s.pid)
	for _, tt := range []struct {
		name   string
		dirfd  int32
		path   string
		flags  uint32
		want   string
		follow bool
		self   bool
	}{
		{"absolute", cwd, "/a/b", 0, "/a/b", true, false},
		{"absolute, dirfd", 7, "/a/b", 0, "/a/b", true, false},
		{"relative", cwd, "a/b", 0, tid + "/cwd/a/b", true, false},
		{"nofollow", cwd, "a", nofollow, tid + "/cwd/a", false, false},
		{"dirfd", 7, "a", 0, tid + "/fd/7/a", true, false},
		{"the largest dirfd", 1<<31 - 1, "a", 0, tid + "/fd/2147483647/a", true, false},
		{"negative dirfd", -5, "a", 0, tid + "/fd/-5/a", true, false},
		{"empty", 7, "", empty, tid + "/fd/7", true, false},
		{"empty, nofollow", 7, "", empty | nofollow, tid + "/fd/7", true, false},
		{"empty, working directory", cwd, "", empty, tid + "/cwd", true, false},
		{"self", cwd, "/proc/self/exe", 0, "/proc/self/exe", true, true},
		{"relative self", cwd, "self/exe", 0, tid + "/cwd/self/exe", true, true},
	} {
		task.Reset(uint32(s.pid))
		p, e := task.Path(tt.dirfd, s.put(tt.path), tt.flags)
		if e != 0 {
			t.Errorf("%s: %v", tt.name, e)
			continue
		}
		if got := unix.BytePtrToString(p.Ptr); got != tt.want || p.Follow != tt.follow || p.ViaProcSelf() != tt.self {
			t.Errorf("%s: %q, follow %v, via self %v; want %q, %v, %v", tt.name, got, p.Follow, p.ViaProcSelf(), tt.want, tt.follow, tt.self)
		}
	}
}

// Most notifications are look-ups of paths.
func TestPathAllocatesNothing(t *testing.T) {
	s := startTask(t)
	task := enter(t)
	task.Reset(uint32(s.pid))
	for _, path := range []string{"sub/inner", filepath.Join(s.dir, "file"), strings.Repeat("./", 1000) + "file"} {
		addr := s.put(path)
		if n := testing.AllocsPerRun(100, func() {
			task.Reset(uint32(s.pid))
			p, _ := task.Path(cwd, addr, 0)
			task.IsLink(p)
			task.FD(taskFile)
		}); n != 0 {
			t.Errorf("%.20s: %v allocations, want none", path, n)
		}
		if n := testing.AllocsPerRun(100, func() {
			if _, e := resolve(task, cwd, addr, 0); e != 0 {
				t.Fatal(e)
			}
		}); n != 0 {
			t.Errorf("%.20s: %v allocations in Open, want none", path, n)
		}
	}
}
