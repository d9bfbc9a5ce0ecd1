package acl_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/rootless-containers/subuidless/internal/acl"
	"github.com/rootless-containers/subuidless/internal/credtest"
)

// minimal returns the ACL that is equivalent to a mode.
func minimal(mode uint16) acl.ACL {
	return acl.ACL{
		{Tag: acl.UserObj, Perm: mode >> 6 & 7, ID: acl.NoID},
		{Tag: acl.GroupObj, Perm: mode >> 3 & 7, ID: acl.NoID},
		{Tag: acl.Other, Perm: mode & 7, ID: acl.NoID},
	}
}

// extended is the example of acl(5): u::rw-,u:lisa:rw-,g::r--,g:toolies:rw-,m::r--,o::r--.
var extended = acl.ACL{
	{Tag: acl.UserObj, Perm: 6, ID: acl.NoID},
	{Tag: acl.User, Perm: 6, ID: 1000},
	{Tag: acl.GroupObj, Perm: 4, ID: acl.NoID},
	{Tag: acl.Group, Perm: 6, ID: 50},
	{Tag: acl.Mask, Perm: 4, ID: acl.NoID},
	{Tag: acl.Other, Perm: 4, ID: acl.NoID},
}

// with returns extended with the entry n replaced.
func with(n int, e acl.Entry) acl.ACL { a := slices.Clone(extended); a[n] = e; return a }

// without returns extended without the entries n.
func without(n ...int) acl.ACL {
	var a acl.ACL
	for m, e := range extended {
		if !slices.Contains(n, m) {
			a = append(a, e)
		}
	}
	return a
}

var parseTests = []struct {
	name  string
	value []byte
	want  unix.Errno
}{
	{"minimal", minimal(0o640).Append(nil), 0},
	{"extended", extended.Append(nil), 0},
	// "If an ACL contains no entries of ACL_USER or ACL_GROUP tag types, the ACL_MASK entry is
	// optional."
	{"a mask without named entries", without(1, 3).Append(nil), 0},
	{"a user twice", slices.Insert(slices.Clone(extended), 1, extended[1]).Append(nil), 0},
	{"users in any order", slices.Insert(slices.Clone(extended), 1, acl.Entry{Tag: acl.User, ID: 2000}).Append(nil), 0},
	{"no entries", acl.ACL(nil).Append(nil), 0},
	// "A valid ACL contains exactly one entry with each of the ACL_USER_OBJ, ACL_GROUP_OBJ,
	// and ACL_OTHER tag types."
	{"no owner", without(0).Append(nil), unix.EINVAL},
	{"no group", without(2).Append(nil), unix.EINVAL},
	{"no other", without(5).Append(nil), unix.EINVAL},
	{"two owners", slices.Insert(slices.Clone(extended), 0, extended[0]).Append(nil), unix.EINVAL},
	{"two others", append(slices.Clone(extended), extended[5]).Append(nil), unix.EINVAL},
	// "An ACL that contains entries of ACL_USER or ACL_GROUP tag types must contain exactly
	// one entry of the ACL_MASK tag type."
	{"no mask", without(4).Append(nil), unix.EINVAL},
	{"two masks", slices.Insert(slices.Clone(extended), 4, extended[4]).Append(nil), unix.EINVAL},
	{"unordered", with(1, extended[3]).Append(nil), unix.EINVAL},
	{"mask before group", append(without(3, 4, 5), extended[4], extended[3], extended[5]).Append(nil), unix.EINVAL},
	{"unknown tag", with(1, acl.Entry{Tag: 3, ID: 1}).Append(nil), unix.EINVAL},
	{"unknown permission", with(5, acl.Entry{Tag: acl.Other, Perm: 8, ID: acl.NoID}).Append(nil), unix.EINVAL},
	{"user -1", with(1, acl.Entry{Tag: acl.User, ID: acl.NoID}).Append(nil), unix.EINVAL},
	{"short header", []byte{2, 0}, unix.EINVAL},
	{"version 1", append([]byte{1}, extended.Append(nil)[1:]...), unix.EOPNOTSUPP},
	{"half an entry", append(extended.Append(nil), 0, 0, 0, 0), unix.EINVAL},
}

func TestParse(t *testing.T) {
	for _, test := range parseTests {
		got, e := acl.Parse(test.value)
		if e != test.want {
			t.Errorf("%s: %v, want %v", test.name, e, test.want)
		}
		if e == 0 && !bytes.Equal(got.Append(nil), test.value) {
			t.Errorf("%s: %x became %x", test.name, test.value, got.Append(nil))
		}
	}
}

func TestMode(t *testing.T) {
	if got := extended.Mode(); got != 0o644 {
		t.Errorf("mode %#o, want 0644: the group permissions are those of the mask", got)
	}
	if got := minimal(0o640).Mode(); got != 0o640 {
		t.Errorf("%#o, want 0640", got)
	}
	if extended.EquivMode() || without(1, 3).EquivMode() || !minimal(0o640).EquivMode() {
		t.Error("EquivMode is not true exactly for the ACL of three entries")
	}
	if diff := cmp.Diff(minimal(0o751), minimal(0o640).Chmod(unix.S_IFREG|0o4751)); diff != "" {
		t.Error(diff)
	}
}

func TestParseKernel(t *testing.T) {
	credtest.NeedRoot(t)
	dir := t.TempDir()
	for _, test := range parseTests {
		for _, name := range []string{access, inherited} {
			var want error
			if test.want != 0 {
				want = test.want
			}
			if err := unix.Setxattr(dir, name, test.value, 0); err != want {
				t.Errorf("%s: setxattr %s: %v, want %v", test.name, name, err, want)
			}
		}
	}
}

const (
	access    = "system.posix_acl_access"
	inherited = "system.posix_acl_default"
)

// valid draws a valid ACL.
func valid() *rapid.Generator[acl.ACL] {
	return rapid.Custom(func(t *rapid.T) acl.ACL {
		bits := rapid.Uint16Range(0, 7)
		entry := func(tag acl.Tag) acl.Entry {
			return acl.Entry{Tag: tag, Perm: bits.Draw(t, fmt.Sprintf("permissions of %#x", tag)), ID: acl.NoID}
		}
		named := func(tag acl.Tag) []acl.Entry {
			var entries []acl.Entry
			for _, id := range rapid.SliceOfN(rapid.Uint32Range(0, 1<<32-2), 0, 2).Draw(t, "ids") {
				e := entry(tag)
				e.ID = id
				entries = append(entries, e)
			}
			return entries
		}
		a := append(acl.ACL{entry(acl.UserObj)}, named(acl.User)...)
		a = append(append(a, entry(acl.GroupObj)), named(acl.Group)...)
		if len(a) > 2 || rapid.Bool().Draw(t, "mask") {
			a = append(a, entry(acl.Mask))
		}
		return append(a, entry(acl.Other))
	})
}

// read returns the ACL in the attribute name of path, or nil.
func read(t *rapid.T, path, name string) acl.ACL {
	t.Helper()
	value := make([]byte, 1024)
	n, err := unix.Getxattr(path, name, value)
	if errors.Is(err, unix.ENODATA) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	a, e := acl.Parse(value[:n])
	if e != 0 {
		t.Fatalf("%s: %x: %v", name, value[:n], e)
	}
	return a
}

// expect compares the mode and the ACLs of path with the given ones.
func expect(t *rapid.T, path string, mode uint32, a, dflt acl.ACL) {
	t.Helper()
	var s unix.Stat_t
	if err := unix.Lstat(path, &s); err != nil {
		t.Fatal(err)
	}
	if s.Mode != mode {
		t.Fatalf("mode %#o, want %#o", s.Mode, mode)
	}
	if diff := cmp.Diff(a, read(t, path, access)); diff != "" {
		t.Fatalf("access ACL: -model +kernel\n%s", diff)
	}
	if s.Mode&unix.S_IFMT != unix.S_IFDIR {
		return
	}
	if diff := cmp.Diff(dflt, read(t, path, inherited)); diff != "" {
		t.Fatalf("default ACL: -model +kernel\n%s", diff)
	}
}

// TestKernel sets ACLs on a directory, makes inodes in it and changes their modes, and
// compares the results with this package.
func TestKernel(t *testing.T) {
	credtest.NeedRoot(t)
	parent := filepath.Join(t.TempDir(), "parent")
	umask := unix.Umask(0o077) // has no effect where there is a default ACL
	defer unix.Umask(umask)
	rapid.Check(t, func(t *rapid.T) {
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(os.RemoveAll(parent))
		must(os.Mkdir(parent, 0o700))
		dflt, own := valid().Draw(t, "default"), valid().Draw(t, "access")
		must(unix.Setxattr(parent, inherited, dflt.Append(nil), 0))
		must(unix.Setxattr(parent, access, own.Append(nil), 0))
		mode := unix.S_IFDIR | own.Mode()
		if own.EquivMode() {
			own = nil
		}
		expect(t, parent, mode, own, dflt)

		path := filepath.Join(parent, "new")
		mode = rapid.SampledFrom([]uint32{unix.S_IFREG, unix.S_IFDIR, unix.S_IFIFO}).Draw(t, "type") |
			rapid.Uint32Range(0, 0o777).Draw(t, "mode")
		if mode&unix.S_IFMT == unix.S_IFDIR {
			must(unix.Mkdir(path, mode&0o777))
		} else {
			must(unix.Mknod(path, mode, 0))
		}
		a, d, mode := dflt.Create(mode)
		expect(t, path, mode, a, d)

		to := rapid.Uint32Range(0, 0o777).Draw(t, "new mode")
		must(unix.Chmod(path, to))
		expect(t, path, mode&^0o777|to, a.Chmod(to), d)
	})
}

// TestCreateWithoutACL creates inodes that inherit no ACL.
func TestCreateWithoutACL(t *testing.T) {
	for _, test := range []struct {
		dflt acl.ACL
		mode uint32
	}{{nil, unix.S_IFDIR | 0o2755}, {extended, unix.S_IFLNK | 0o777}} {
		if a, d, mode := test.dflt.Create(test.mode); a != nil || d != nil || mode != test.mode {
			t.Errorf("%+v, mode %#o: %+v, %+v, %#o", test.dflt, test.mode, a, d, mode)
		}
	}
}

// FuzzParse checks that an ACL that parses is the same after encoding it again.
func FuzzParse(f *testing.F) {
	for _, test := range parseTests {
		f.Add(test.value)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		a, e := acl.Parse(value)
		if e != 0 || a == nil {
			return
		}
		again, e := acl.Parse(a.Append(nil))
		if diff := cmp.Diff(a, again); diff != "" || e != 0 {
			t.Fatalf("%v\n%s", e, diff)
		}
		if got := a.Chmod(a.Mode()); !slices.Equal(got, a) {
			t.Fatalf("%+v after a chmod to its own mode: %+v", a, got)
		}
	})
}
