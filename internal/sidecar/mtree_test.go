package sidecar

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/rootless-containers/subuidless/internal/owner"
)

// What is written is read again, whatever the names and values are.
func TestWriteAndRead(t *testing.T) {
	name := rapid.Custom(func(t *rapid.T) string {
		b := rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "name")
		b = bytes.Map(func(r rune) rune {
			if r == 0 || r == '/' {
				return '_'
			}
			return r
		}, bytes.ToValidUTF8(b, []byte{0xff, '\\'}))
		if s := string(b); s != "." && s != ".." {
			return s
		}
		return "dots"
	})
	kind := rapid.SampledFrom([]uint32{unix.S_IFREG, unix.S_IFDIR, unix.S_IFLNK, unix.S_IFIFO, unix.S_IFSOCK, unix.S_IFCHR, unix.S_IFBLK})
	rapid.Check(t, func(t *rapid.T) {
		var want []file
		var b bytes.Buffer
		b.WriteString(signature)
		for range rapid.IntRange(1, 4).Draw(t, "files") {
			f := file{
				path: strings.Join(rapid.SliceOfN(name, 1, 3).Draw(t, "path"), "/"),
				kind: kind.Draw(t, "kind"),
				mode: rapid.Uint32Range(0, 0o7777).Draw(t, "mode"),
				ID:   owner.ID{UID: rapid.Uint32().Draw(t, "uid"), GID: rapid.Uint32().Draw(t, "gid")},
			}
			if f.isDevice() {
				f.rdev = uint64(rapid.Uint32().Draw(t, "rdev"))
			}
			for range rapid.IntRange(0, 2).Draw(t, "xattrs") {
				f.xattrs = append(f.xattrs, xattr{
					"trusted." + name.Draw(t, "xattr") + "=",
					bytes.Repeat([]byte{7}, rapid.SampledFrom([]int{0, 1, 2, 300}).Draw(t, "size")),
				})
			}
			if err := f.writeTo(&b); err != nil {
				t.Fatal(err)
			}
			want = append(want, f)
		}
		got, err := readFiles(&b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(file{}, xattr{})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// A specification that has been cut off anywhere gives the first files as they were, or an error.
func TestTruncatedSpecification(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long, and depends on no kernel")
	}
	want := []file{
		{path: ".", kind: unix.S_IFDIR, mode: 0o755, ID: owner.ID{UID: 1000, GID: 2000}},
		{path: "device", kind: unix.S_IFBLK, mode: 0o600, ID: owner.ID{UID: 123, GID: 456}, rdev: unix.Mkdev(123, 456)},
		{path: "file", kind: unix.S_IFREG, mode: 0o4711, ID: owner.ID{UID: 33, GID: 44}, xattrs: []xattr{{"trusted.long", make([]byte, maxLine)}}},
		{path: "last", kind: unix.S_IFREG, mode: 0o644, ID: owner.ID{UID: 12345, GID: 67890}},
	}
	var b bytes.Buffer
	b.WriteString(signature)
	for _, f := range want {
		if err := f.writeTo(&b); err != nil {
			t.Fatal(err)
		}
	}
	whole := b.Bytes()
	for n := range len(whole) + 1 {
		if n > 400 && n < len(whole)-200 && n%maxLine > 300 { // within one long value
			continue
		}
		got, err := readFiles(bytes.NewReader(whole[:n]))
		if err != nil && n < len(whole) {
			continue
		}
		if err != nil || len(got) > len(want) || n == len(whole) && len(got) < len(want) {
			t.Fatalf("%d bytes: %d files, %v", n, len(got), err)
		}
		if diff := cmp.Diff(want[:len(got)], got, cmp.AllowUnexported(file{}, xattr{}), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%d bytes (-want +got):\n%s", n, diff)
		}
	}
}

// Specifications of other programs.
func TestReadFiles(t *testing.T) {
	const spec = `#mtree
# user: root
/set type=file uid=0 gid=0 mode=0644
. type=dir time=5.0
    link type=link link=target uid=7 gname=staff
    dev type=dir mode=0755
        sda type=block device=native,8,1 gid=6 nochange
    ..
..
./dev/tty type=char device=linux,5,0
`
	got, err := readFiles(strings.NewReader(spec))
	if err != nil {
		t.Fatal(err)
	}
	root := owner.ID{}
	want := []file{
		{path: ".", kind: unix.S_IFDIR, mode: 0o644, ID: root},
		{path: "link", kind: unix.S_IFLNK, mode: 0o644, ID: owner.ID{UID: 7}},
		{path: "dev", kind: unix.S_IFDIR, mode: 0o755, ID: root},
		{path: "dev/sda", kind: unix.S_IFBLK, mode: 0o644, ID: owner.ID{GID: 6}, rdev: unix.Mkdev(8, 1)},
		{path: "dev/tty", kind: unix.S_IFCHR, mode: 0o644, ID: root, rdev: unix.Mkdev(5, 0)},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(file{}, xattr{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReadFilesFails(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"./a type=door", "a: type=door: unknown type"},
		{"./a uid=-1", "a: uid=-1: "},
		{"./a uid=4294967295", "a: uid=4294967295: no user"},
		{"./a gid=x", "a: gid=x: "},
		{"./a mode=9", "a: mode=9: "},
		{"./a type=char device=5", "a: device=5: "},
		{"./a type=char device=linux,5,1048576", "a: device=linux,5,1048576: "},
		{"./a xattr.trusted.a=?", "a: xattr.trusted.a=?: "},
	} {
		_, err := readFiles(strings.NewReader(signature + tt.line + "\n"))
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %s...", tt.line, err, tt.want)
		}
	}
	if files, err := readFiles(strings.NewReader("")); err == nil {
		t.Errorf("no text: %v", files)
	}
}

// Values of attributes have up to 64 KiB.
func TestLongLine(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long, and depends on no kernel")
	}
	want := file{path: "a b", kind: unix.S_IFIFO, ID: owner.Unchanged, xattrs: []xattr{
		{"trusted.a", bytes.Repeat([]byte("abc"), 21800)}, {"trusted.b", bytes.Repeat([]byte{1}, 64<<10)},
	}}
	b := bytes.NewBufferString(signature)
	if err := want.writeTo(b); err != nil {
		t.Fatal(err)
	}
	got, err := readFiles(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]file{want}, got, cmp.AllowUnexported(file{}, xattr{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
