package cred

import (
	"bytes"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/idmap"
)

// MapKind is the file of a map: uid_map or gid_map.
type MapKind int

const (
	UIDMap MapKind = iota
	GIDMap
)

// of returns the map of the kind.
func (k MapKind) of(n *Namespace) idmap.Map {
	if k == UIDMap {
		return n.UIDs()
	}
	return n.GIDs()
}

// capability returns the capability that the ids of others require.
func (k MapKind) capability() int {
	if k == UIDMap {
		return unix.CAP_SETUID
	}
	return unix.CAP_SETGID
}

// MayWriteMap decides whether the opener of a map of n may write to it at all, whatever the
// text is. The error is EPERM.
//
// user_namespaces(7): "The writing process must have the CAP_SETUID (CAP_SETGID) capability in
// the user namespace of the process pid" - in fact CAP_SYS_ADMIN. "The writing process must
// either be in the user namespace of the process pid or be in the parent user namespace of the
// process pid." "An attempt to write more than once to a uid_map file in a user namespace fails
// with the error EPERM."
func MayWriteMap(opener Credentials, n *Namespace, kind MapKind) unix.Errno {
	switch {
	case n == nil, // the container's map exists
		opener.Namespace != n && opener.Namespace != n.Parent,
		len(kind.of(n)) != 0,
		!opener.CapableIn(n, unix.CAP_SYS_ADMIN),
		!privilegedMapper(opener, n, kind) && (opener.UID.Effective != n.Owner || kind == GIDMap && !n.SetgroupsDenied()):
		return unix.EPERM
	}
	return 0
}

// LongestMap returns the length of the longest text, in bytes, that the opener can be allowed
// to write to a map of n, if it writes no spaces without need: 0 stands for no limit. A process
// without privileges can only map its own id.
func LongestMap(opener Credentials, n *Namespace, kind MapKind) int {
	if privilegedMapper(opener, n, kind) {
		return 0
	}
	id := n.Parent.SeenUID(opener.UID.Effective)
	if kind == GIDMap {
		id = n.Parent.SeenGID(opener.GID.Effective)
	}
	return len(idmap.Map{{Inside: idmap.None - 1, Outside: 0, Count: 1}}.Compact()) - 1 + digits(id)
}

// digits returns the number of decimal digits of id.
func digits(id uint32) int {
	n := 1
	for ; id >= 10; id /= 10 {
		n++
	}
	return n
}

// privilegedMapper reports whether the opener may map the ids of others.
//
// user_namespaces(7): "The writing process has the CAP_SETUID (CAP_SETGID) capability in the
// parent user namespace."
func privilegedMapper(opener Credentials, n *Namespace, kind MapKind) bool {
	return opener.CapableIn(n.Parent, kind.capability())
}

// NewMap returns the map of n that the opener of the file sets by writing text to it. Its
// outside ids are those of the container. The error is EPERM or EINVAL.
func NewMap(opener Credentials, n *Namespace, kind MapKind, text []byte) (idmap.Map, unix.Errno) {
	if e := MayWriteMap(opener, n, kind); e != 0 {
		return nil, e
	}
	m, e := idmap.Parse(text)
	if e != 0 {
		return nil, e
	}
	if kind == UIDMap && !mayMapRoot(opener, n, m) {
		return nil, unix.EPERM
	}
	if !privilegedMapper(opener, n, kind) && !mapsOwnID(opener, n, kind, m) {
		return nil, unix.EPERM
	}
	if n.Parent == nil {
		return m, 0
	}
	// "EPERM [...] The mapped user IDs (group IDs) must in turn have a mapping in the parent user
	// namespace."
	lowered, ok := m.Through(kind.of(n.Parent))
	if !ok {
		return nil, unix.EPERM
	}
	return lowered, 0
}

// mapsOwnID reports whether the map consists of the opener's own id.
//
// user_namespaces(7): "The data written to uid_map (gid_map) must consist of a single line that
// maps the writing process's effective user ID (group ID) in the parent user namespace to a user
// ID (group ID) in the user namespace." "The writing process must have the same effective user
// ID as the process that created the user namespace." "In the case of gid_map, use of the
// setgroups(2) system call must first be denied".
func mapsOwnID(opener Credentials, n *Namespace, kind MapKind, m idmap.Map) bool {
	if len(m) != 1 || m[0].Count != 1 || opener.UID.Effective != n.Owner {
		return false
	}
	if kind == UIDMap {
		return n.Parent.UID(m[0].Outside) == opener.UID.Effective
	}
	return n.SetgroupsDenied() && n.Parent.GID(m[0].Outside) == opener.GID.Effective
}

// mayMapRoot reports whether the opener may set the map as far as it maps root of the parent
// namespace.
//
// user_namespaces(7): "If updating /proc/pid/uid_map to create a mapping that maps UID 0 in the
// parent namespace, then one of the following must be true: (a) if writing process is in the
// parent user namespace, then it must have the CAP_SETFCAP capability in that user namespace; or
// (b) if the writing process is in the child user namespace, then the process that created the
// user namespace must have had the CAP_SETFCAP capability when the namespace was created."
func mayMapRoot(opener Credentials, n *Namespace, m idmap.Map) bool {
	switch {
	case !m.MapsToOutside(0):
		return true
	case opener.Namespace == n:
		return n.CouldSetfcap
	}
	return opener.CapableIn(n.Parent, unix.CAP_SETFCAP)
}

// MayWriteSetgroups decides whether a process may change /proc/PID/setgroups of n at all. The error
// is EPERM.
//
// user_namespaces(7): "deny" cannot be written "after /proc/pid/gid_map has been set".
func MayWriteSetgroups(n *Namespace) unix.Errno {
	if n == nil || len(n.GIDs()) != 0 {
		return unix.EPERM
	}
	return 0
}

// WriteSetgroups changes /proc/PID/setgroups of n as text says, which has been written to it. The
// error is EINVAL or EPERM.
//
// user_namespaces(7): "Writing the value "deny" to the /proc/pid/setgroups file before
// /proc/pid/gid_map is written will permanently disable setgroups(2) in a user namespace". "EPERM
// [...] to write "allow" [...] after" that, or "deny" after gid_map has been written.
func WriteSetgroups(n *Namespace, text []byte) unix.Errno {
	const maxText = 8 // of the kernel's buffer
	if len(text) >= maxText {
		return unix.EINVAL
	}
	text, _, _ = bytes.Cut(text, []byte{0})
	switch string(bytes.TrimRight(text, " \t\n\v\f\r")) {
	case "allow":
		if n.SetgroupsDenied() {
			return unix.EPERM
		}
		return 0
	case "deny":
		if e := MayWriteSetgroups(n); e != 0 {
			return e
		}
		n.DenySetgroups()
		return 0
	}
	return unix.EINVAL
}
