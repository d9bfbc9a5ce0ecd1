package cred

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/idmap"
)

// user returns the credentials of an ordinary user in the container.
func user(id uint32) Credentials {
	ids := IDs{id, id, id, id}
	return Credentials{UID: ids, GID: ids, Bounding: AllCaps}
}

// newNamespace returns a namespace that the owner has created, in which the outside id root is 0,
// and those from 100000 on are 1 to 100.
func newNamespace(owner Credentials, root uint32) *Namespace {
	n := &Namespace{
		Index: 1, Parent: owner.Namespace, Owner: owner.UID.Effective, Group: owner.GID.Effective,
		CouldSetfcap: owner.Capable(unix.CAP_SETFCAP),
	}
	n.SetUIDs(idmap.Map{{Inside: 0, Outside: root, Count: 1}, {Inside: 1, Outside: 100000, Count: 100}})
	n.SetGIDs(idmap.Map{{Inside: 0, Outside: root, Count: 1}, {Inside: 1, Outside: 100000, Count: 100}})
	return n
}

func TestTranslation(t *testing.T) {
	n := newNamespace(user(1000), 1000)
	for _, tt := range []struct{ inside, outside uint32 }{{0, 1000}, {1, 100000}, {100, 100099}} {
		if n.UID(tt.inside) != tt.outside || n.SeenUID(tt.outside) != tt.inside || n.ShownGID(tt.outside) != tt.inside {
			t.Errorf("%d is not %d outside", tt.inside, tt.outside)
		}
	}
	if n.UID(101) != idmap.None || n.SeenUID(0) != idmap.None || n.ShownUID(0) != 65534 {
		t.Error("an id that is not mapped is translated")
	}
	var container *Namespace
	if container.UID(5) != 5 || container.ShownUID(5) != 5 || !container.Maps(5, 5) {
		t.Error("the container's namespace changes ids")
	}
	if !n.Maps(1000, 100000) || n.Maps(1000, 0) || n.Maps(0, 1000) {
		t.Error("Maps")
	}
}

// user_namespaces(7), "Capabilities".
func TestCapableIn(t *testing.T) {
	creator := user(1000)
	n := newNamespace(creator, 1000)
	inside := creator.Enter(n)
	below := newNamespace(inside, 1000)
	dropped := inside
	dropped.Effective = 0
	for _, tt := range []struct {
		name string
		c    Credentials
		n    *Namespace
		want bool
	}{
		{"root in the container", Root(), nil, true},
		{"root in a descendant", Root(), below, true},
		{"a user in the container", user(5), nil, false},
		{"a user in another's namespace", user(5), n, false},
		{"the creator in its namespace", creator, n, true},
		{"the creator in a descendant", creator, below, true},
		{"a member", inside, n, true},
		{"a member in the parent", inside, nil, false},
		{"a member without capabilities", dropped, n, false},
		{"a member without capabilities that created a child", dropped, below, true},
	} {
		if got := tt.c.CapableIn(tt.n, unix.CAP_SYS_ADMIN); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	if !inside.CapableOver(1000, 100000, unix.CAP_CHOWN) || inside.CapableOver(1000, 0, unix.CAP_CHOWN) ||
		dropped.CapableOver(1000, 1000, unix.CAP_CHOWN) || inside.CapableInContainer(unix.CAP_CHOWN) {
		t.Error("capabilities over inodes")
	}
	if inside.ReachesAll() {
		t.Error("a task in a nested namespace is not a restricted caller")
	}
}

func TestEnter(t *testing.T) {
	c := user(1000)
	c.Inheritable, c.Ambient, c.Bounding, c.Securebits, c.Groups = 1, 1, 1, SecbitNoRoot, []uint32{5}
	n := newNamespace(c, 1000)
	want := user(1000)
	want.Permitted, want.Effective, want.Bounding = AllCaps, AllCaps, AllCaps
	want.Groups, want.Namespace = []uint32{5}, n
	if got := c.Enter(n); !got.Equal(want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if c.MayCreateNamespace() != 0 || c.Enter(n).MayCreateNamespace() != 0 || user(7).Enter(n).MayCreateNamespace() != unix.EPERM {
		t.Error("MayCreateNamespace")
	}
}

// The root of "Effect of user ID changes on capabilities" and of execve(2) is that of the
// namespace.
func TestRootOfNamespace(t *testing.T) {
	n := newNamespace(user(1000), 1000)
	root := user(1000).Enter(n)
	c, e := root.Setuid(n.UID(5))
	if e != 0 || c.Effective != 0 || c.Permitted != 0 {
		t.Errorf("after setuid(5): %+v, %v", c, e)
	}
	if c, _, _ := root.Exec(ExecFile{Mode: 0o755}); c.Effective != AllCaps {
		t.Errorf("root loses capabilities by execve: %+v", c)
	}
	unmapped := user(7).Enter(n)
	if c, _, _ := unmapped.Exec(ExecFile{Mode: 0o755}); c.Permitted != 0 {
		t.Errorf("an unmapped user keeps capabilities: %+v", c)
	}
	zero := Root().Enter(n)
	if c, _, _ := zero.Exec(ExecFile{Mode: 0o755}); c.Permitted != 0 {
		t.Errorf("the container's root keeps capabilities where it is not mapped: %+v", c)
	}
	// Set-user-ID programs of owners that are not mapped change nothing.
	if c, _, _ := c.Exec(ExecFile{UID: 0, GID: 1000, Mode: 0o4755}); c.UID.Effective != n.UID(5) {
		t.Errorf("of the container's root: %+v", c.UID)
	}
	if c, _, _ := c.Exec(ExecFile{UID: 1000, GID: 1000, Mode: 0o4755}); c.UID.Effective != 1000 || c.Effective != AllCaps {
		t.Errorf("of the namespace's root: %+v", c)
	}
	for rootID, want := range map[uint32]Caps{0: 1, 1000: 1, 100000: 0} {
		if c, _, _ := c.Exec(ExecFile{UID: 1000, GID: 1000, Mode: 0o755, Caps: &FileCaps{Permitted: 1, RootID: rootID}}); c.Permitted != want {
			t.Errorf("file capabilities of the root %d: %x", rootID, c.Permitted)
		}
	}
}

func TestSetgroupsInNamespace(t *testing.T) {
	n := &Namespace{Owner: 1000}
	c := user(1000).Enter(n)
	if c.MaySetgroups() {
		t.Error("before gid_map has been written")
	}
	n.SetGIDs(idmap.Map{{Inside: 0, Outside: 1000, Count: 1}})
	if !c.MaySetgroups() {
		t.Error("after gid_map has been written")
	}
	n.DenySetgroups()
	if c.MaySetgroups() {
		t.Error("denied")
	}
}

// Tasks of different namespaces are the same user if their ids are equal outside.
func TestTasksOfNamespaces(t *testing.T) {
	n := newNamespace(user(1000), 1000)
	root := user(1000).Enter(n)
	member := user(100005)
	member.Namespace = n
	outsider := user(1000)
	if !MaySignal(root, member, unix.SIGTERM, false) || MaySignal(root, user(100005), unix.SIGTERM, false) ||
		!MaySignal(root, outsider, unix.SIGTERM, false) || !MaySignal(outsider, member, unix.SIGTERM, false) {
		t.Error("MaySignal")
	}
	if !MayPtrace(root, member, false) || !MayPtrace(outsider, root, false) || MayPtrace(root, outsider, false) {
		t.Error("MayPtrace")
	}
	if !MaySchedule(root, member) || MaySchedule(root, user(100005)) || MayPrlimit(root, user(5)) {
		t.Error("MaySchedule or MayPrlimit")
	}
}
