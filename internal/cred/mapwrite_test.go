package cred

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/idmap"
)

// user_namespaces(7), "Defining user and group ID mappings".
func TestNewMap(t *testing.T) {
	creator := user(1000)
	fresh := func() *Namespace { return &Namespace{Index: 1, Owner: 1000, Group: 1000} }
	denied := func() *Namespace {
		n := fresh()
		n.DenySetgroups()
		return n
	}
	written := func() *Namespace {
		n := fresh()
		n.SetUIDs(idmap.Map{{Inside: 0, Outside: 1000, Count: 1}})
		return n
	}
	ofRoot := func(could bool) *Namespace { return &Namespace{Index: 1, CouldSetfcap: could} }
	setuid := creator // what newuidmap keeps
	setuid.Effective = 1 << unix.CAP_SETUID
	withSetfcap := setuid
	withSetfcap.Effective |= 1 << unix.CAP_SETFCAP
	stranger := user(1001)
	root := Root()
	// within returns the credentials of a task that has created the namespace.
	within := func(c Credentials) func(*Namespace) Credentials { return c.Enter }
	from := func(c Credentials) func(*Namespace) Credentials { return func(*Namespace) Credentials { return c } }
	for _, tt := range []struct {
		name   string
		of     *Namespace
		opener func(*Namespace) Credentials
		kind   MapKind
		text   string
		want   idmap.Map
		e      unix.Errno
	}{
		{"its own id, from within", fresh(), within(creator), UIDMap, "0 1000 1", idmap.Map{{Inside: 0, Outside: 1000, Count: 1}}, 0},
		{"its own id, from the parent", fresh(), from(creator), UIDMap, "5 1000 1", idmap.Map{{Inside: 5, Outside: 1000, Count: 1}}, 0},
		{"another id", fresh(), within(creator), UIDMap, "0 1001 1", nil, unix.EPERM},
		{"two ids", fresh(), within(creator), UIDMap, "0 1000 2", nil, unix.EPERM},
		{"two lines", fresh(), within(creator), UIDMap, "0 1000 1\n1 100000 1", nil, unix.EPERM},
		{"a malformed line", fresh(), within(creator), UIDMap, "0 1000", nil, unix.EINVAL},
		{"a stranger", fresh(), from(stranger), UIDMap, "0 1001 1", nil, unix.EPERM},
		{"a stranger with CAP_SETUID", fresh(), from(Credentials{UID: stranger.UID, Effective: 1 << unix.CAP_SETUID}), UIDMap, "0 1001 1", nil, unix.EPERM},
		{"written before", written(), within(creator), UIDMap, "0 1000 1", nil, unix.EPERM},
		{"its own group", fresh(), within(creator), GIDMap, "0 1000 1", nil, unix.EPERM},
		{"its own group, setgroups denied", denied(), within(creator), GIDMap, "0 1000 1", idmap.Map{{Inside: 0, Outside: 1000, Count: 1}}, 0},
		{"newuidmap", fresh(), from(setuid), UIDMap, "0 1000 1\n1 100000 65536\n", idmap.Map{{Inside: 0, Outside: 1000, Count: 1}, {Inside: 1, Outside: 100000, Count: 65536}}, 0},
		{"newuidmap for groups", fresh(), from(setuid), GIDMap, "0 1000 1\n1 100000 65536\n", nil, unix.EPERM},
		{"newuidmap with root", fresh(), from(setuid), UIDMap, "0 0 1", nil, unix.EPERM},
		{"newuidmap with root and CAP_SETFCAP", fresh(), from(withSetfcap), UIDMap, "0 0 1", idmap.Map{{Inside: 0, Outside: 0, Count: 1}}, 0},
		{"root of the container", fresh(), from(root), UIDMap, "0 0 4294967295", idmap.Map{{Inside: 0, Outside: 0, Count: 1<<32 - 1}}, 0},
		{"root from within", ofRoot(true), within(root), UIDMap, "0 0 1", idmap.Map{{Inside: 0, Outside: 0, Count: 1}}, 0},
		{"root from within, without CAP_SETFCAP", ofRoot(false), within(root), UIDMap, "0 0 1", nil, unix.EPERM},
		{"the container", nil, from(root), UIDMap, "0 0 1", nil, unix.EPERM},
	} {
		got, e := NewMap(tt.opener(tt.of), tt.of, tt.kind, []byte(tt.text))
		if diff := cmp.Diff(tt.want, got); e != tt.e || diff != "" {
			t.Errorf("%s: %v, want %v (-want +got):\n%s", tt.name, e, tt.e, diff)
		}
		if MayWriteMap(tt.opener(tt.of), tt.of, tt.kind) != 0 && e != unix.EPERM {
			t.Errorf("%s: MayWriteMap refuses what may be written", tt.name)
		}
		if e == 0 && tt.of != nil {
			if longest := LongestMap(tt.opener(tt.of), tt.of, tt.kind); longest != 0 && len(tt.text)+1 > longest {
				t.Errorf("%s: LongestMap is %d", tt.name, longest)
			}
		}
	}
}

// Below the first level, ids are translated by the map of the parent.
func TestNewMapBelow(t *testing.T) {
	parent := newNamespace(user(1000), 1000)
	inside := user(1000).Enter(parent)
	n := &Namespace{Index: 2, Parent: parent, Owner: 1000}
	for text, want := range map[string]idmap.Map{
		"7 0 1":           {{Inside: 7, Outside: 1000, Count: 1}},
		"0 5 2\n2 0 1":    {{Inside: 0, Outside: 100004, Count: 2}, {Inside: 2, Outside: 1000, Count: 1}},
		"0 0 2":           nil, // of two extents
		"0 100 2":         nil, // beyond the end
		"0 1000 1":        nil, // an id of the container
		"0 1 1\n1 5000 1": nil,
	} {
		got, e := NewMap(inside, n, UIDMap, []byte(text))
		if diff := cmp.Diff(want, got); diff != "" || (e == unix.EPERM) != (want == nil) {
			t.Errorf("%q: %v (-want +got):\n%s", text, e, diff)
		}
	}
	// A grandparent may not write.
	if _, e := NewMap(Root(), n, UIDMap, []byte("0 0 1")); e != unix.EPERM {
		t.Errorf("from the container: %v", e)
	}
}

func TestWriteSetgroups(t *testing.T) {
	for _, tt := range []struct {
		text         string
		mapped, deny bool // before
		e            unix.Errno
		denied       bool // after
	}{
		{"deny", false, false, 0, true},
		{"deny\n", false, true, 0, true},
		{"allow", false, false, 0, false},
		{"allow\n", false, true, unix.EPERM, true},
		{"deny", true, false, unix.EPERM, false},
		{"denyx", false, false, unix.EINVAL, false},
		{"", false, false, unix.EINVAL, false},
		{"deny    ", false, false, unix.EINVAL, false},
	} {
		n := new(Namespace)
		if tt.mapped {
			n.SetGIDs(idmap.Map{{Inside: 0, Outside: 0, Count: 1}})
		}
		if tt.deny {
			n.DenySetgroups()
		}
		if e := WriteSetgroups(n, []byte(tt.text)); e != tt.e || n.SetgroupsDenied() != tt.denied {
			t.Errorf("%q: %v, denied %v", tt.text, e, n.SetgroupsDenied())
		}
	}
}
