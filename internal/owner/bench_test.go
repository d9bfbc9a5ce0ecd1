package owner

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// inodes has the files that hotPaths work on.
type inodes struct {
	store                         *Store
	plain, owned, withACL, socket inode
	record                        Record
	id                            uint32 // changes with each Set
}

// inode is one file: its path, and an O_PATH descriptor with the mode.
type inode struct {
	path *byte
	fd   int
	dev  uint64
	mode uint32
}

func newInodes(tb testing.TB) *inodes {
	tb.Helper()
	enterProc(tb)
	dir := tb.TempDir()
	n := &inodes{store: NewStore(ID{}, openSidecar(tb, tb.TempDir()))}
	create := func(name string, mode uint32) (i inode) {
		path := filepath.Join(dir, name)
		err := unix.Mknod(path, mode|0o600, 0)
		if err != nil {
			tb.Fatal(&os.PathError{Op: "mknod", Path: path, Err: err})
		}
		if i.path, err = unix.BytePtrFromString(path); err != nil {
			tb.Fatal(err)
		}
		i.fd, i.mode = openPath(tb, path)
		var st unix.Stat_t
		if err := unix.Fstat(i.fd, &st); err != nil {
			tb.Fatal(err)
		}
		i.dev = st.Dev
		return i
	}
	n.plain, n.owned, n.withACL = create("plain", unix.S_IFREG), create("owned", unix.S_IFREG), create("acl", unix.S_IFREG)
	n.socket = create("socket", unix.S_IFSOCK)
	for _, r := range []struct {
		inode
		Record
	}{
		{n.owned, Record{ID: ID{1, 2}}},
		{n.withACL, Record{ID: ID{1, 2}, Access: make([]byte, 44)}},
		{n.socket, Record{ID: ID{1, 2}}},
	} {
		if e := n.store.SetRecord(r.fd, r.dev, r.mode, &r.Record); e != 0 {
			tb.Skip(e) // ACLs need a file system with user.* attributes
		}
	}
	return n
}

func (n *inodes) set(i inode) unix.Errno {
	n.id++
	return n.store.Set(i.fd, i.dev, i.mode, ID{n.id, n.id})
}

// hotPaths are what most handlers need of a Store. None may allocate, except as said here:
// Record allocates its buffer when it fills r for the first time, and a value of more than
// smallValue bytes needs a new one. Set and SetRecord allocate for records with long ACLs.
// A malformed value allocates for the report.
var hotPaths = []struct {
	name string
	do   func(n *inodes) bool // reports success
}{
	{"Peek, no record", func(n *inodes) bool { return n.store.Peek(n.plain.path, true, true) == None }},
	{"Peek", func(n *inodes) bool { return n.store.Peek(n.owned.path, true, true) == Found }},
	{"Peek, sidecar", func(n *inodes) bool { return n.store.Peek(n.socket.path, true, true) == Found }},
	{"Get", func(n *inodes) bool {
		_, ok := n.store.Get(n.owned.fd, n.owned.mode)
		return ok
	}},
	{"Record, no record", func(n *inodes) bool { return !n.store.Record(n.plain.fd, n.plain.mode, &n.record) }},
	{"Record", func(n *inodes) bool { return n.store.Record(n.owned.fd, n.owned.mode, &n.record) }},
	{"Record with an ACL", func(n *inodes) bool { return n.store.Record(n.withACL.fd, n.withACL.mode, &n.record) }},
	{"Record, sidecar", func(n *inodes) bool { return n.store.Record(n.socket.fd, n.socket.mode, &n.record) }},
	{"Set", func(n *inodes) bool { return n.set(n.owned) == 0 }},
	{"Set with an ACL", func(n *inodes) bool { return n.set(n.withACL) == 0 }},
	{"Set, sidecar", func(n *inodes) bool { return n.set(n.socket) == 0 }},
	{"Set and remove", func(n *inodes) bool {
		return n.set(n.plain) == 0 && n.store.Set(n.plain.fd, n.plain.dev, n.plain.mode, n.store.Mapped) == 0
	}},
	{"SetRecord", func(n *inodes) bool {
		n.id++
		n.record = Record{ID: ID{n.id, n.id}, buf: n.record.buf}
		return n.store.SetRecord(n.owned.fd, n.owned.dev, n.owned.mode, &n.record) == 0
	}},
}

func TestHotPathsAllocateNothing(t *testing.T) {
	n := newInodes(t)
	for _, tt := range hotPaths {
		ok := true
		if allocs := testing.AllocsPerRun(100, func() { ok = ok && tt.do(n) }); allocs != 0 || !ok {
			t.Errorf("%s: %v allocations, want none; succeeds: %v", tt.name, allocs, ok)
		}
	}
}

func BenchmarkStore(b *testing.B) {
	for _, tt := range hotPaths {
		b.Run(tt.name, func(b *testing.B) {
			n := newInodes(b)
			b.ReportAllocs()
			for b.Loop() {
				if !tt.do(n) {
					b.Fatal("failed")
				}
			}
		})
	}
}
