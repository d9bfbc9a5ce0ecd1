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

// TestLongPaths checks relative paths that are short enough for the kernel, and
// too long with what the supervisor must write before them.
func TestLongPaths(t *testing.T) {
	s := startTask(t)
	tr := enter(t)
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
		tr.Reset(uint32(s.pid))
		got, e := resolve(tr, tt.dirfd, s.put(tt.path), tt.flags)
		if e != tt.err {
			t.Errorf("%s: error %v, want %v", tt.name, e, tt.err)
		} else if e == 0 && got != s.id(tt.want) {
			t.Errorf("%s: another file than %s", tt.name, tt.want)
		}
	}
	tr.Reset(0)
	if tr.long >= 0 {
		t.Error("Reset leaves the descriptor for a long path open")
	}
}

// Peek takes what Path returns as it is, unless it is said to be stray.
func TestPtr(t *testing.T) {
	s := startTask(t)
	tr := enter(t)
	tid := strconv.Itoa(s.pid)
	for _, tt := range []struct {
		name   string
		dirfd  int32
		path   string
		flags  uint32
		want   string
		follow bool
		stray  bool
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
		tr.Reset(uint32(s.pid))
		p, e := tr.Path(tt.dirfd, s.put(tt.path), tt.flags)
		if e != 0 {
			t.Errorf("%s: %v", tt.name, e)
			continue
		}
		if got := unix.BytePtrToString(p.Ptr); got != tt.want || p.Follow != tt.follow || p.ViaProcSelf() != tt.stray {
			t.Errorf("%s: %q, follow %v, stray %v; want %q, %v, %v", tt.name, got, p.Follow, p.ViaProcSelf(), tt.want, tt.follow, tt.stray)
		}
	}
}

// Most calls of a container are look-ups of paths.
func TestPathAllocatesNothing(t *testing.T) {
	s := startTask(t)
	tr := enter(t)
	tr.Reset(uint32(s.pid))
	for _, path := range []string{"sub/inner", filepath.Join(s.dir, "file"), strings.Repeat("./", 1000) + "file"} {
		addr := s.put(path)
		if n := testing.AllocsPerRun(100, func() {
			tr.Reset(uint32(s.pid))
			p, _ := tr.Path(cwd, addr, 0)
			tr.IsLink(p)
			tr.FD(taskFile)
		}); n != 0 {
			t.Errorf("%.20s: %v allocations, want none", path, n)
		}
		if n := testing.AllocsPerRun(100, func() {
			if _, e := resolve(tr, cwd, addr, 0); e != 0 {
				t.Fatal(e)
			}
		}); n != 0 {
			t.Errorf("%.20s: Open makes %v allocations, want none", path, n)
		}
	}
}
