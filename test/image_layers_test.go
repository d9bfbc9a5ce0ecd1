package test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
)

func dir(name string) entry {
	return entry{Header: tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755}}
}

func regular(name, content string) entry {
	return entry{Header: tar.Header{Name: name, Mode: 0o644}, content: content}
}

func symlink(name, target string) entry {
	return entry{Header: tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777}}
}

func hardLink(name, target string) entry {
	return entry{Header: tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: target}}
}

// TestImageLayers stacks layers that remove, replace and extend what is below them.
func TestImageLayers(t *testing.T) {
	reg := startRegistry(t)
	image := reg.push(t, "layers", imageOf(t, v1.Config{}, busyboxLayer(t),
		[]entry{
			{Header: tar.Header{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o750, Uid: 5, Gid: 6}},
			regular("d/removed", "1"), regular("d/kept", "1"), regular("d/replaced", "1"),
			dir("d/opaque/"), regular("d/opaque/below", "1"),
			dir("d/again/"), regular("d/again/below", "1"),
			dir("d/to-file/"), regular("d/to-file/below", "1"),
			regular("d/to-dir", "1"),
			{Header: tar.Header{Name: "d/linked", Mode: 0o4711, Uid: 1000, Gid: 1001}, content: "linked"},
			dir("usr/"), dir("usr/lib/"), regular("usr/lib/below", "1"), symlink("lib", "usr/lib"), symlink("abs", "/usr/lib"),
			symlink("out", "../../../../usr"),
		},
		[]entry{
			// No entries for the directories: they keep what they have below.
			regular("d/.wh.removed", ""), regular("d/new", "2"), regular("d/replaced", "2"),
			regular("d/opaque/above", "2"), regular("d/opaque/.wh..wh..opq", ""),
			regular("d/.wh.again", ""), dir("d/again/"), regular("d/again/above", "2"),
			regular("d/to-file", "2"), dir("d/to-dir/"), regular("d/to-dir/x", "2"),
			{Header: tar.Header{Name: "d/hard", Typeflag: tar.TypeLink, Linkname: "d/linked", Mode: 0o4711, Uid: 1000, Gid: 1001}},
			regular("lib/through", "2"), regular("abs/through-absolute", "2"), regular("out/through-out", "2"),
			regular("d/.wh.never-there", ""), regular(".wh..wh.plnk", "x"),
			regular("deep/er/implied", "2"), regular("twice", "1"), regular("twice", "2"),
			dir("mixed/"), regular("mixed/x", "2"), symlink("mixed", "d"),
		},
		[]entry{regular("d/.wh.kept", ""), regular("top", "3")},
	))
	store := imageStore(t)
	subuidless(t, "pull", store, image)
	want := sortedLines(`/d 750 5:6
/d/again 755 0:0
/d/again/above 644 0:0
/d/hard 4711 1000:1001
/d/linked 4711 1000:1001
/d/new 644 0:0
/d/opaque 755 0:0
/d/opaque/above 644 0:0
/d/replaced 644 0:0
/d/to-dir 755 0:0
/d/to-dir/x 644 0:0
/d/to-file 644 0:0
/deep 755 0:0
/deep/er 755 0:0
/deep/er/implied 644 0:0
/lib 777 0:0
/mixed 777 0:0
/usr 755 0:0
/usr/lib 755 0:0
/usr/lib/below 644 0:0
/usr/lib/through 644 0:0
/usr/lib/through-absolute 644 0:0
/usr/through-out 644 0:0`)
	for _, driver := range []string{"overlay", "copy"} {
		run := func(script string) string {
			return subuidless(t, "run", "--rm", store, "--storage-driver="+driver, image, "sh", "-c", script)
		}
		diffLines(t, driver, sortedLines(run(`find /d /usr /lib /deep /mixed -exec stat -c "%n %a %u:%g" {} +`)), want)
		got := run("cat /d/replaced /twice /d/hard /top; stat -c ' %h %i' /d/linked; stat -c ' %h %i' /d/hard; stat -c %Y /d/replaced /usr")
		lines := strings.Split(got, "\n")
		if len(lines) < 4 || !strings.HasPrefix(lines[0], "22linked3 2 ") || strings.TrimPrefix(lines[0], "22linked3") != lines[1] || lines[2] != fmt.Sprint(epoch.Unix()) || lines[3] != lines[2] {
			t.Errorf("%s: contents, links and times: %q", driver, got)
		}
	}
}

// TestImageHardLinks unpacks hard links whose entries say something else than those of the files. What
// is wanted is what podman 4.3 as real root shows.
func TestImageHardLinks(t *testing.T) {
	at := func(e entry, id int, mode, seconds int64) entry {
		e.Uid, e.Gid, e.Mode, e.ModTime = id, id+1, mode, time.Unix(seconds, 0)
		return e
	}
	attributes := func(e entry, records ...string) entry {
		e.Format, e.PAXRecords = tar.FormatPAX, map[string]string{}
		for i := 0; i < len(records); i += 2 {
			e.PAXRecords["SCHILY.xattr."+records[i]] = records[i+1]
		}
		return e
	}
	device := entry{Header: tar.Header{Name: "device", Typeflag: tar.TypeChar, Devmajor: 5, Devminor: 1}}
	fifo := entry{Header: tar.Header{Name: "fifo", Typeflag: tar.TypeFifo}}
	image := filepath.Join(t.TempDir(), "image")
	tag, err := name.NewTag("links")
	if err == nil {
		err = tarball.WriteToFile(image, tag, imageOf(t, v1.Config{}, busyboxLayer(t), []entry{
			attributes(at(regular("file", "x"), 1, 0o640, 1_000), "user.x", "1", "user.z", "9"),
			attributes(at(hardLink("file2", "file"), 3, 0o4750, 2_000), "user.y", "2", "user.z", "8"),
			at(symlink("link", "file"), 1, 0o777, 3_000), at(hardLink("link2", "link"), 5, 0o700, 4_000),
			at(device, 1, 0o640, 5_000), at(hardLink("device2", "device"), 5, 0o600, 6_000),
			at(fifo, 1, 0o640, 5_000), at(hardLink("fifo2", "fifo"), 7, 0o604, 7_000),
			at(regular("owned", "x"), 1, 0o640, 1_000), at(hardLink("owned2", "owned"), 0, 0, 0),
			attributes(at(regular("caps", "x"), 9, 0o755, 1_000), "security.capability", fileCaps), at(hardLink("caps2", "caps"), 9, 0o755, 1_000),
			attributes(at(regular("lost", "x"), 9, 0o755, 1_000), "security.capability", fileCaps), at(hardLink("lost2", "lost"), 8, 0o755, 1_000),
		}))
	}
	if err != nil {
		t.Fatal(err)
	}
	store := imageStore(t)
	got := subuidless(t, "run", "--rm", "-q", store, "docker-archive:"+image, "sh", "-c",
		`for f in file link device fifo owned caps lost; do stat -c '%n %u:%g %a %h %Y' $f ${f}2; done`)
	want := ""
	for _, f := range []string{"file%s 3:4 4750 2 2000", "link%s 5:6 777 2 3000", "device%s 5:6 600 2 6000", "fifo%s 7:8 604 2 7000", "owned%s 0:1 0 2 0", "caps%s 9:10 755 2 1000", "lost%s 8:9 755 2 1000"} {
		want += fmt.Sprintf(f+"\n"+f+"\n", "", "2")
	}
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for at, want := range map[string]string{"file user.x": "1", "file user.y": "2", "file user.z": "8", "caps security.capability": "\x01\x00\x00", "lost security.capability": ""} {
		name, attribute, _ := strings.Cut(at, " ")
		files, err := filepath.Glob(filepath.Join(strings.TrimPrefix(store, "--root="), "layers", "*", name))
		if err != nil || len(files) != 1 {
			t.Fatalf("%s: %v, %v", name, files, err)
		}
		value := make([]byte, 64)
		n, err := unix.Getxattr(files[0], attribute, value)
		if got := string(value[:max(n, 0)]); !strings.HasPrefix(got, want) || (want == "") != (err == unix.ENODATA) {
			t.Errorf("%s: %q (%v), want %q", at, got, err, want)
		}
	}
}

// TestImageAttacks pulls layers that try to leave the root file system, or are malformed.
func TestImageAttacks(t *testing.T) {
	reg := startRegistry(t)
	store := imageStore(t)
	outside := filepath.Join(t.TempDir(), "outside")
	for name, tt := range map[string]struct {
		entries []entry
		message string
	}{
		"dotdot":        {[]entry{regular("../../../../../../../../../.."+outside, "x")}, `component ".."`},
		"inner dotdot":  {[]entry{dir("a/"), regular("a/../../x", "x")}, `component ".."`},
		"link dotdot":   {[]entry{hardLink("passwd", "../../../../../../etc/passwd")}, `component ".."`},
		"link missing":  {[]entry{hardLink("passwd", "etc/passwd")}, "no such file"},
		"link dir":      {[]entry{dir("a/"), hardLink("b", "a")}, "is a directory"},
		"loop":          {[]entry{symlink("a", "b"), symlink("b", "a"), regular("a/x", "x")}, "symbolic link"},
		"self loop":     {[]entry{symlink("a", "a/a"), regular("a/x", "x")}, "symbolic link"},
		"dangling":      {[]entry{symlink("a", "/nowhere"), regular("a/x", "x")}, "symbolic link to nothing"},
		"below a file":  {[]entry{regular("a", "x"), regular("a/x", "x")}, "not a directory"},
		"uid":           {[]entry{{Header: tar.Header{Name: "x", Uid: 1<<32 - 1, Mode: 0o644}}}, "not a valid id"},
		"negative uid":  {[]entry{{Header: tar.Header{Name: "x", Uid: -5, Mode: 0o644}}}, "not a valid id"},
		"device number": {[]entry{{Header: tar.Header{Name: "x", Typeflag: tar.TypeBlock, Devmajor: 1 << 13, Mode: 0o644}}}, "device number"},
		"type":          {[]entry{{Header: tar.Header{Name: "x", Typeflag: 'Q', Mode: 0o644}}}, "not supported"},
		"bad acl":       {[]entry{{Header: tar.Header{Name: "x", Mode: 0o644, PAXRecords: map[string]string{"SCHILY.acl.access": "user::rwx,nonsense"}}}}, "ACL"},
	} {
		t.Run(name, func(t *testing.T) {
			image := reg.push(t, "attack", imageOf(t, v1.Config{}, tt.entries))
			out := fails(t, "pull", store, image)
			if !strings.Contains(out, tt.message) || strings.Count(out, "subuidless:") != 1 {
				t.Errorf("the message has no %q, or is not one:\n%s", tt.message, out)
			}
			if out := subuidless(t, "images", "-q", store); out != "" {
				t.Errorf("the store has an image:\n%s", out)
			}
		})
	}
	// What leads out only for those that are not confined stays within.
	image := reg.push(t, "within", imageOf(t, v1.Config{}, busyboxLayer(t), []entry{
		symlink("up", "../../../../../../.."), regular("up"+outside, "x"),
		symlink("root", "/"), regular("root/made", "x"),
		{Header: tar.Header{Name: "/absolute", Mode: 0o644}},
	}))
	subuidless(t, "pull", store, image)
	if _, err := os.Lstat(outside); err == nil {
		t.Error("a layer has created a file on the host")
	}
	subuidless(t, "run", "--rm", store, image, "sh", "-c", "test -f "+outside+" && test -f /made && test -f /absolute")
	out := subuidless(t, "prune", "--force", "--all", store)
	if !strings.Contains(out, "Deleted image: "+image) {
		t.Errorf("prune: %s", out)
	}
	for _, dir := range []string{"layers", "blobs/sha256", "tmp", "containers"} {
		if left, err := os.ReadDir(filepath.Join(strings.TrimPrefix(store, "--root="), dir)); err != nil || len(left) > 0 {
			t.Errorf("after prune --all, %s has %v (%v)", dir, left, err)
		}
	}
}

// TestImageAttributes checks attributes, ACLs, holes and times.
func TestImageAttributes(t *testing.T) {
	reg := startRegistry(t)
	zeros := strings.Repeat("\x00", 16<<20)
	pax := func(name string, kind byte, records map[string]string) entry {
		return entry{Header: tar.Header{Name: name, Typeflag: kind, Mode: 0o644, Uid: 33, Gid: 33, Format: tar.FormatPAX, PAXRecords: records}}
	}
	img := imageOf(t, v1.Config{}, busyboxLayer(t), []entry{
		pax("acl", tar.TypeReg, map[string]string{"SCHILY.acl.access": "user::rw-,user:tester:r--:1000,group::r--,mask::r--,other::r--"}),
		pax("xattr", tar.TypeReg, map[string]string{
			"SCHILY.xattr.user.comment": "hello", "SCHILY.xattr.trusted.secret": "t",
			"SCHILY.xattr.user.rootlesscontainers": "\x08\x00\x10\x00", "SCHILY.xattr.user.overlay.opaque": "y",
		}),
		pax("dir", tar.TypeDir, map[string]string{"SCHILY.acl.default": "user::rwx,group::r-x,group:7:r-x,mask::r-x,other::r-x"}),
		regular("zeros", zeros+"end"),
		symlink("early", "x"),
	})
	image := reg.push(t, "attributes", img)
	store := imageStore(t)
	out := subuidless(t, "pull", store, image)
	for _, name := range []string{"user.rootlesscontainers", "user.overlay.opaque"} {
		if !strings.Contains(out, "attribute "+name+" is not kept") {
			t.Errorf("no warning about %s:\n%s", name, out)
		}
	}
	out = subuidless(t, "run", "--rm", store, image, "sh", "-c",
		"stat -c '%n %u:%g %a %s %Y' /acl /xattr /zeros /dir; stat -c '%b' /zeros; readlink /early; stat -c %Y /early")
	now := epoch.Unix()
	want := fmt.Sprintf("/acl 33:33 644 0 %d\n/xattr 33:33 644 0 %d\n/zeros 0:0 644 %d %d\n/dir 33:33 644 ", now, now, len(zeros)+3, now)
	if !strings.HasPrefix(out, want) || !strings.HasSuffix(out, fmt.Sprintf("\nx\n%d\n", now)) {
		t.Errorf("got %q, want %q...", out, want)
	}
	var blocks int
	for line := range strings.Lines(out) {
		if n, err := fmt.Sscan(line, &blocks); n == 1 && err == nil {
			break
		}
	}
	if blocks > 2048 {
		t.Errorf("a file of zeros takes %d blocks", blocks)
	}
	// The record has the ACLs that the kernel cannot store.
	for name, want := range map[string]string{"acl": "33:33 44 0", "dir": "33:33 0 44"} {
		files, err := filepath.Glob(filepath.Join(strings.TrimPrefix(store, "--root="), "layers", "*", name))
		if err != nil || len(files) != 1 {
			t.Fatalf("%s: %v, %v", name, files, err)
		}
		value := make([]byte, 4096)
		n, err := unix.Getxattr(files[0], owner.Xattr, value)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r, err := owner.Parse(value[:n])
		if got := fmt.Sprintf("%d:%d %d %d", r.UID, r.GID, len(r.Access), len(r.Default)); err != nil || got != want {
			t.Errorf("the record of %s: %s (%v), want %s", name, got, err, want)
		}
	}
}

// rawLayer is a layer as a registry has it.
type rawLayer struct {
	compressed []byte
	diffID     v1.Hash
	mediaType  types.MediaType
}

// zerosLayer returns a layer whose file has this number of chunks of 64 MiB of zeros. It costs
// little to make.
func zerosLayer(t *testing.T, name string, chunks int) v1.Layer {
	t.Helper()
	var archive, out bytes.Buffer
	chunk := make([]byte, 64<<20)
	w := tar.NewWriter(&archive)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(chunks * len(chunk)), Uid: 1 << 31, Gid: 1<<32 - 2, Format: tar.FormatGNU, ModTime: epoch}); err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	member := func(plain []byte) []byte { // of a gzip file, which may have several
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write(plain); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	sum.Write(archive.Bytes())
	out.Write(member(archive.Bytes()))
	zeros := member(chunk)
	for range chunks {
		sum.Write(chunk)
		out.Write(zeros)
	}
	end := make([]byte, 1024)
	sum.Write(end)
	out.Write(member(end))
	return &rawLayer{out.Bytes(), v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%x", sum.Sum(nil))}, types.OCILayer}
}

func (l *rawLayer) Digest() (v1.Hash, error) {
	h, _, err := v1.SHA256(bytes.NewReader(l.compressed))
	return h, err
}
func (l *rawLayer) DiffID() (v1.Hash, error)            { return l.diffID, nil }
func (l *rawLayer) Size() (int64, error)                { return int64(len(l.compressed)), nil }
func (l *rawLayer) MediaType() (types.MediaType, error) { return l.mediaType, nil }
func (l *rawLayer) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l.compressed)), nil
}
func (l *rawLayer) Uncompressed() (io.ReadCloser, error) {
	return gzip.NewReader(bytes.NewReader(l.compressed))
}

// sparseLayer returns a layer whose file has this size, and which is sparse in the archive, too.
func sparseLayer(t *testing.T, name string, size int64) v1.Layer {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, name), size); err != nil {
		t.Fatal(err)
	}
	archive, err := exec.Command("tar", "--create", "--sparse", "--format=pax", fmt.Sprintf("--owner=:%d", 1<<31), fmt.Sprintf("--group=:%d", 1<<32-2), "-C", dir, name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return layerOf(t, archive)
}

// TestImageZeros unpacks large files of zeros, which take no space on the disk, however the root
// file system is made.
func TestImageZeros(t *testing.T) {
	const chunks, sparse = 4, 20 << 30
	reg := startRegistry(t)
	img := imageOf(t, v1.Config{}, busyboxLayer(t))
	img, err := mutate.AppendLayers(img, zerosLayer(t, "zeros", chunks), sparseLayer(t, "sparse", sparse))
	if err != nil {
		t.Fatal(err)
	}
	image := reg.push(t, "zeros", img)
	store := imageStore(t)
	subuidless(t, "pull", "-q", store, image)
	for _, driver := range []string{"overlay", "copy"} {
		out := subuidless(t, "run", "--rm", store, "--storage-driver="+driver, image, "stat", "-c", "%u:%g %a %s %b", "/zeros", "/sparse")
		if want := fmt.Sprintf("%[1]d:%[2]d 600 %[3]d 0\n%[1]d:%[2]d 600 %[4]d 0\n", 1<<31, 1<<32-2, chunks*64<<20, sparse); out != want {
			t.Errorf("%s: %q, want %q", driver, out, want)
		}
	}
}
