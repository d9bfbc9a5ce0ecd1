package layer

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/acl"
)

func TestCleanName(t *testing.T) {
	for name, want := range map[string]string{"a": "a", "./a/": "a", "/a//b": "a/b", "./": ".", "/": ".", "a/./b": "a/b", "..a": "..a", "a..": "a.."} {
		if got, err := cleanName(name); err != nil || got != want {
			t.Errorf("cleanName(%q) = %q, %v; want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"..", "../a", "a/..", "a/../b", "/..", "./.."} {
		if got, err := cleanName(name); err == nil {
			t.Errorf("cleanName(%q) = %q, want an error", name, got)
		}
	}
}

func TestParseACLText(t *testing.T) {
	full := acl.ACL{
		{Tag: acl.UserObj, Perm: 6, ID: acl.NoID}, {Tag: acl.User, Perm: 4, ID: 1000}, {Tag: acl.GroupObj, Perm: 4, ID: acl.NoID},
		{Tag: acl.Group, Perm: 1, ID: 7}, {Tag: acl.Mask, Perm: 5, ID: acl.NoID}, {Tag: acl.Other, Perm: 0, ID: acl.NoID},
	}
	for _, text := range []string{
		"user::rw-,user:tester:r--:1000,group::r--,group:7:--x,mask::r-x,other::---",
		"other::---\nuser::rw-\nuser:1000:r--\t#effective:r--\ngroup::r--\ngroup:x:--x:7\nmask::r-x\n",
		"u::rw,u:1000:r,g::r,g:7:x,m::rx,o::",
	} {
		got, e := parseACLText(text)
		if e != 0 || string(got.Append(nil)) != string(full.Append(nil)) {
			t.Errorf("parseACLText(%q) = %v, %v", text, got, e)
		}
	}
	for _, text := range []string{"", "user::rw-", "user::rw-,group::r--,other::r--,user:name:r--", "user::rwz,group::r--,other::r--", "x::r--,user::rw-,group::r--,other::r--", "user:rw"} {
		if got, e := parseACLText(text); e == 0 {
			t.Errorf("parseACLText(%q) = %v, want an error", text, got)
		}
	}
}

// TestStack looks up names in layers with whiteouts, opaque directories and links.
func TestStack(t *testing.T) {
	low, high := t.TempDir(), t.TempDir()
	for _, dir := range []string{low + "/d", low + "/opaque", low + "/own", high + "/d", high + "/opaque", high + "/own", low + "/etc/real"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		low + "/d/low": "1", low + "/d/both": "1", low + "/d/gone": "1", low + "/opaque/low": "1", low + "/own/low": "1", low + "/etc/real/f": "real",
		high + "/d/both": "2", high + "/d/high": "2", high + "/opaque/high": "2",
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{low + "/etc/abs": "/etc/real", high + "/up": "../../../../etc/real/f", high + "/loop": "loop"} {
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
	}
	for name, mark := range map[string]string{"opaque": opaqueName, "own": ownOpaque} {
		if err := unix.Setxattr(filepath.Join(high, name), mark, []byte("y"), 0); err != nil {
			t.Skip("no attributes in ", high)
		}
	}
	dir, err := unix.Open(high+"/d", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(dir)
	if _, err := makeWhiteout(dir, "gone"); err != nil {
		t.Fatal(err)
	}
	s, err := OpenStack([]string{high, low})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, want := range map[string]string{
		"d/low": "1", "d/both": "2", "/d/high": "2", "opaque/high": "2", "etc/abs/f": "real", "up": "real", "../../etc/real/../real/f": "real", "d/../d/./both": "2",
	} {
		f, err := s.Open(name, unix.O_RDONLY)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		b := make([]byte, 10)
		n, _ := f.Read(b)
		f.Close()
		if string(b[:n]) != want {
			t.Errorf("%s: %q, want %q", name, b[:n], want)
		}
	}
	for name, want := range map[string]error{"d/gone": unix.ENOENT, "opaque/low": unix.ENOENT, "own/low": unix.ENOENT, "none": unix.ENOENT, "loop": unix.ELOOP, "d/low/x": unix.ENOTDIR} {
		if f, err := s.Open(name, unix.O_RDONLY); !errors.Is(err, want) {
			t.Errorf("%s: %v, %v; want %v", name, f, err, want)
		}
	}
}

func TestRemoveAll(t *testing.T) {
	top := filepath.Join(t.TempDir(), "top")
	if err := os.MkdirAll(top+"/a/b/c", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(top+"/a/b/file", nil, 0); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"/a/b/c", "/a/b", "/a"} {
		if err := os.Chmod(top+dir, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := RemoveAll(top); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(top); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
	if err := RemoveAll(top); err != nil {
		t.Errorf("once more: %v", err)
	}
}

// TestRemoveAllTogether has several remove one tree, as prune does while a container of --rm ends.
func TestRemoveAllTogether(t *testing.T) {
	top := filepath.Join(t.TempDir(), "top")
	for range 50 {
		for _, dir := range []string{"/a/b/c", "/d/e", "/f"} {
			if err := os.MkdirAll(top+dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(top+dir+"/file", nil, 0); err != nil {
				t.Fatal(err)
			}
		}
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if err := RemoveAll(top); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if _, err := os.Lstat(top); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("it is still there: %v", err)
		}
	}
}
