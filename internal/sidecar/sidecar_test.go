package sidecar

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
)

// fixture is a tree with a sidecar.
type fixture struct {
	*testing.T
	side  string
	tree  Tree
	store *owner.Store
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	t.Chdir("/proc") // for package owner
	f := &fixture{T: t, side: t.TempDir()}
	f.tree = f.newTree()
	f.store = f.open(f.side)
	return f
}

func (f *fixture) newTree() Tree {
	tree, err := NewTree(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	return tree
}

func (f *fixture) open(dir string) *owner.Store {
	f.Helper()
	side, err := owner.OpenSidecar(dir)
	if err != nil {
		f.Fatal(err)
	}
	return owner.NewStore(owner.ID{}, side)
}

// path returns the path of a name in the tree.
func (f *fixture) path(name string) string { return filepath.Join(f.tree.Path, name) }

func (f *fixture) fifo(name string) string {
	f.Helper()
	f.must(unix.Mkfifo(f.path(name), 0o644))
	return f.path(name)
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// entry makes the sidecar have an entry of the FIFO at path, as earlier versions have made
// them.
func (f *fixture) entry(path, target string) string {
	f.Helper()
	k, err := owner.KeyOfPath(path)
	f.must(err)
	return f.entryOf(k, target)
}

func (f *fixture) entryOf(k owner.Key, target string) string {
	f.Helper()
	name := fmt.Sprintf("%x-%x-%x-%x", k.Device, k.Inode, k.Birth, k.Generation)
	f.must(os.Symlink(target, filepath.Join(f.side, name)))
	return name
}

// attributes gives a special file a trusted.a, which is in an attribute file.
func (f *fixture) attributes(path string) {
	f.Helper()
	fd, st := f.openInode(path)
	defer unix.Close(fd)
	var p owner.AttributePath
	at, e := f.store.Attributes(fd, st.Mode, true, &p)
	if e != 0 {
		f.Skip("no capability attributes:", e)
	}
	f.must(unix.Setxattr(unix.BytePtrToString(at), storedPrefix+"trusted.a", []byte("value"), 0))
}

func (f *fixture) openInode(path string) (int, *unix.Stat_t) {
	f.Helper()
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	f.must(err)
	st := new(unix.Stat_t)
	f.must(unix.Fstat(fd, st))
	return fd, st
}

// owners returns the owner that a store has for each of the names, as "42:43".
func (f *fixture) owners(s *owner.Store, dir string, names ...string) string {
	f.Helper()
	var list []string
	for _, name := range names {
		fd, st := f.openInode(filepath.Join(dir, name))
		var r owner.Record
		word := "none"
		if s.Record(fd, st.Mode, &r) {
			word = id(r.UID) + ":" + id(r.GID)
			if r.Type != 0 {
				word += ":" + device(&r)
			}
		}
		list = append(list, word)
		unix.Close(fd)
	}
	return strings.Join(list, " ")
}

func (f *fixture) collect(o CollectOptions) string {
	f.Helper()
	o.Dir, o.Trees = f.side, append(o.Trees, f.tree)
	var b bytes.Buffer
	f.must(Collect(o, &b))
	return strings.ReplaceAll(b.String(), f.tree.Path, "TREE")
}

// names returns the names in the sidecar.
func (f *fixture) names() (names []string) {
	f.Helper()
	side, err := owner.OpenSidecar(f.side)
	f.must(err)
	list, err := side.Entries()
	f.must(err)
	for _, e := range list {
		names = append(names, e.Name)
	}
	return names
}

// Old entries move into their inodes, and no entry of an inode that exists is removed.
func TestCollectMoves(t *testing.T) {
	f := newFixture(t)
	f.attributes(f.fifo("attributes"))
	f.entry(f.fifo("fifo"), "7:8")
	f.must(os.Mkdir(f.path("dir"), 0o700))
	name := f.entry(f.fifo("dir/other"), "9:10")
	boots, err := filepath.Glob(filepath.Join(f.side, "boot-*"))
	f.must(err)
	for _, boot := range boots { // as an earlier version would have it
		f.must(os.RemoveAll(boot))
	}
	f.must(os.WriteFile(filepath.Join(f.side, "used"), []byte{1, 0, 0, 0}, 0o600))
	f.store = f.open(f.side)
	if got := f.owners(f.store, f.tree.Path, "fifo", "dir/other"); got != "7:8 9:10" {
		t.Fatal(got)
	}
	want := "would move into the inode: TREE/dir/other\nwould move into the inode: TREE/fifo\nwould move 2, would remove 0, 1 would be left\n"
	if diff := cmp.Diff(want, f.collect(CollectOptions{Complete: true, DryRun: true})); diff != "" {
		t.Errorf("dry run (-want +got):\n%s", diff)
	}
	if len(f.names()) != 3 {
		t.Errorf("the dry run has left %v", f.names())
	}
	want = "moved into the inode: TREE/dir/other\nmoved into the inode: TREE/fifo\nmoved 2, removed 0, 1 left\n"
	if diff := cmp.Diff(want, f.collect(CollectOptions{Complete: true})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if left := f.names(); len(left) != 1 || left[0] == name {
		t.Errorf("left: %v", left)
	}
	if got := f.owners(f.open(t.TempDir()), f.tree.Path, "fifo", "dir/other"); got != "7:8 9:10" {
		t.Errorf("in the inodes: %s", got)
	}
	if f.store.SidecarInUse() {
		t.Error("containers still look for entries")
	}
}

// Which entries of inodes that are not found are removed.
func TestCollectRemoves(t *testing.T) {
	f := newFixture(t)
	alive, err := owner.KeyOfPath(f.fifo("alive"))
	f.must(err)
	if alive.Birth == 0 {
		t.Skip("the file system has no birth times")
	}
	type given struct {
		name string
		key  func(k owner.Key) owner.Key
		born time.Duration // of the entry, before that of the inode
		want string        // which option removes it
	}
	with := func(change func(k *owner.Key)) func(owner.Key) owner.Key {
		return func(k owner.Key) owner.Key { change(&k); return k }
	}
	for n, tt := range []given{
		{"another inode has the number now", with(func(k *owner.Key) { k.Generation++ }), time.Hour, "any"},
		{"it had the number before", with(func(k *owner.Key) { k.Generation += 2 }), -time.Hour, "complete"},
		{"no inode has the number", with(func(k *owner.Key) { k.Inode += 1 << 40 }), time.Hour, "complete"},
		{"another device", with(func(k *owner.Key) { k.Device += 1 << 40; k.Generation += 3 }), time.Hour, "none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if alive.Device == 0 {
				t.Skip("the device number is anonymous")
			}
			f.T = t
			for _, complete := range []bool{false, true} {
				k := tt.key(alive)
				k.Generation += uint64(n) << 8
				name := f.entryOf(k, "7:8")
				stamp := unix.NsecToTimeval(int64(alive.Birth) - tt.born.Nanoseconds())
				f.must(unix.Lutimes(filepath.Join(f.side, name), []unix.Timeval{stamp, stamp}))
				out := f.collect(CollectOptions{Complete: complete})
				removed := strings.Contains(out, "removed: "+name+" (owner 7:8)\n")
				if want := tt.want == "any" || tt.want == "complete" && complete; removed != want {
					t.Errorf("complete %v: removed %v, want %v\n%s", complete, removed, want, out)
				}
				if _, err := os.Lstat(filepath.Join(f.side, name)); os.IsNotExist(err) != removed {
					t.Errorf("complete %v: %v after\n%s", complete, err, out)
				}
				os.Remove(filepath.Join(f.side, name))
			}
		})
	}
}

// What a process has open, or in another tree, exists.
func TestCollectKeeps(t *testing.T) {
	f := newFixture(t)
	path := f.fifo("open")
	f.attributes(path)
	fd, _ := f.openInode(path)
	f.must(os.Remove(path))
	other := f.newTree()
	elsewhere := filepath.Join(other.Path, "fifo")
	f.must(unix.Mkfifo(elsewhere, 0o600))
	f.attributes(elsewhere)
	want := "moved 0, removed 0, 2 left\n"
	if got := f.collect(CollectOptions{Complete: true, Trees: []Tree{other}}); got != want {
		t.Errorf("%s; want %s", got, want)
	}
	unix.Close(fd)
	f.must(os.Remove(elsewhere))
	if got := f.collect(CollectOptions{Complete: true}); !strings.HasSuffix(got, "moved 0, removed 2, 0 left\n") {
		t.Errorf("%s; want 2 removed", got)
	}
}

// A copy without owners gets those of the original.
func TestExportAndImport(t *testing.T) {
	f := newFixture(t)
	f.must(os.Symlink("target", f.path("li nk\n")))
	f.must(os.Mkdir(f.path("dir"), 0o755))
	f.must(os.WriteFile(f.path("dir/file"), []byte("x"), 0o644))
	f.must(unix.Mknod(f.path("dir/sda"), unix.S_IFSOCK|0o640, 0))
	f.fifo("fifo")
	f.fifo("plain")
	names := []string{"li nk\n", "dir", "dir/file", "dir/sda", "fifo", "plain"}
	for _, set := range []struct {
		name string
		owner.Record
	}{
		{names[0], owner.Record{ID: owner.ID{UID: 42, GID: 4294967294}}},
		{"dir", owner.Record{ID: owner.ID{UID: 1, GID: 2}}},
		{"dir/file", owner.Record{ID: owner.ID{UID: 3, GID: owner.Noop}}},
		{"dir/sda", owner.Record{ID: owner.ID{GID: 6}, Type: unix.S_IFBLK, Rdev: unix.Mkdev(8, 1)}},
		{"fifo", owner.Record{ID: owner.ID{UID: 7, GID: 8}}},
	} {
		fd, st := f.openInode(f.path(set.name))
		if e := f.store.SetRecord(fd, 0, st.Mode, &set.Record); e != 0 {
			t.Skip("no attributes:", e)
		}
		unix.Close(fd)
	}
	f.attributes(f.path("fifo"))
	for _, tt := range []struct {
		all  bool
		want string
	}{
		{false, `#mtree v2.0
./dir/sda type=block mode=0640 uid=0 gid=6 device=linux,8,1
./fifo type=fifo mode=0644 uid=7 gid=8 xattr.trusted.a=dmFsdWU=
./li\040nk\012 type=link mode=0777 uid=42 gid=4294967294
`},
		{true, `#mtree v2.0
./dir type=dir mode=0755 uid=1 gid=2
./dir/file type=file mode=0644 uid=3
./dir/sda type=block mode=0640 uid=0 gid=6 device=linux,8,1
./fifo type=fifo mode=0644 uid=7 gid=8 xattr.trusted.a=dmFsdWU=
./li\040nk\012 type=link mode=0777 uid=42 gid=4294967294
`},
	} {
		var spec bytes.Buffer
		f.must(Export(f.side, f.tree, tt.all, &spec))
		if diff := cmp.Diff(tt.want, spec.String()); diff != "" {
			t.Errorf("all %v (-want +got):\n%s", tt.all, diff)
		}
	}
	var spec bytes.Buffer
	f.must(Export(f.side, f.tree, true, &spec))
	f.must(unix.Mkfifo(filepath.Join(f.TempDir(), "x"), 0o600)) // so that inode numbers differ

	original := f.owners(f.store, f.tree.Path, names...)
	f.tree = f.newTree()
	f.must(os.Symlink("target", f.path("li nk\n")))
	f.must(os.Mkdir(f.path("dir"), 0o755))
	f.must(os.WriteFile(f.path("dir/file"), nil, 0o644))
	f.fifo("fifo")
	f.fifo("plain")
	text := spec.String()
	f.must(Import(f.side, f.tree, &spec))
	if got := f.owners(f.store, f.tree.Path, names...); got != original {
		t.Errorf("the copy has %s, want %s", got, original)
	}
	var again bytes.Buffer
	f.must(Export(f.side, f.tree, true, &again))
	if diff := cmp.Diff(text, again.String()); diff != "" {
		t.Errorf("exported again (-want +got):\n%s", diff)
	}
}

// An import changes nothing outside of the tree and nothing of another type, and says so.
func TestImportFails(t *testing.T) {
	f := newFixture(t)
	outside := f.newTree()
	f.must(unix.Mkfifo(filepath.Join(outside.Path, "fifo"), 0o600))
	f.must(os.Symlink(outside.Path, f.path("link")))
	f.must(os.WriteFile(f.path("file"), []byte("x"), 0o600))
	for line, want := range map[string]string{
		"./link/fifo uid=7":              "1 of 1 files",
		"./../../fifo uid=7":             "1 of 1 files",
		"./missing uid=7":                "1 of 1 files",
		"./file type=fifo uid=7":         "1 of 1 files",
		"./file type=char device=a,5,0":  "1 of 1 files",
		"./file uid=7 xattr.user.a=?":    "file: xattr.user.a",
		"./file xattr.system.other=YQ==": "1 of 1 files",
	} {
		err := Import(f.side, f.tree, strings.NewReader(signature+line+"\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
	if got := f.owners(f.store, f.tree.Path, "file") + f.owners(f.store, outside.Path, "fifo"); got != "nonenone" {
		t.Errorf("records: %s", got)
	}
}

func TestList(t *testing.T) {
	f := newFixture(t)
	f.attributes(f.fifo("attributes"))
	f.entry(f.fifo("fifo"), "7:8")
	f.must(os.Link(f.path("fifo"), f.path("hard")))
	f.entryOf(owner.Key{Device: 1, Inode: 2, Birth: 3, Generation: 4}, "7:4294967295:c:5:1")
	var b bytes.Buffer
	f.must(List(f.side, []Tree{f.tree}, &b))
	got := regexp.MustCompile(`(?m)^\S{20,} +`).ReplaceAllString(strings.ReplaceAll(b.String(), f.tree.Path, "TREE"), "KEY ")
	for _, want := range []string{"KEY attributes  -      0s   TREE/attributes", "KEY owner       7:8    0s   TREE/fifo", "KEY owner       7:8    0s   TREE/hard"} {
		if !strings.Contains(got, want) && !strings.Contains(got, strings.Replace(want, "0s", "1s", 1)) {
			t.Errorf("no line %q in\n%s", want, got)
		}
	}
	if !regexp.MustCompile(`(?m)^1-2-3-4 +c:5:1 +7:- +\ds +-$`).MatchString(got) {
		t.Errorf("no line of the device in\n%s", got)
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 59 * time.Second: "59s", time.Minute: "1m", 3599 * time.Second: "59m",
		23 * time.Hour: "23h", 50 * time.Hour: "2d", 4000 * time.Hour: "166d",
	} {
		if got := age(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
