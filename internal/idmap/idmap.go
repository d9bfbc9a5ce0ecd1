// Package idmap implements the id maps of user namespaces as values: translation, and the
// text that programs write to uid_map and gid_map. It makes no system calls.
//
// The rules are those of user_namespaces(7) and of kernel/user_namespace.c of Linux 6.18.
package idmap

import (
	"bytes"
	"fmt"

	"golang.org/x/sys/unix"
)

// None is the result of a translation for an id that is not mapped: -1, which is no id.
const None = ^uint32(0)

// Overflow is what programs see instead of an id that is not mapped: the default of
// /proc/sys/kernel/overflowuid and overflowgid.
const Overflow = 65534

// MaxExtents is UID_GID_MAP_MAX_EXTENTS of <linux/user_namespace.h>, the maximum number of
// lines of a map. user_namespaces(7): "Since Linux 4.15, there is a limit of 340 lines".
const MaxExtents = 340

// maxText is the size of a text that is too long, in bytes. user_namespaces(7): "the number of
// bytes written to the file must be less than the system page size". It is that of x86-64 and
// arm64 with pages of 4 KiB.
const maxText = 4096

// Extent maps the ids from Inside on to those from Outside on. Count is their number.
type Extent struct{ Inside, Outside, Count uint32 }

// Map is a uid_map or a gid_map. An empty one maps no id.
type Map []Extent

// ToOutside translates an id of the namespace; None if it is not mapped.
func (m Map) ToOutside(id uint32) uint32 {
	for i := range m {
		if e := &m[i]; id-e.Inside < e.Count {
			return e.Outside + (id - e.Inside)
		}
	}
	return None
}

// ToInside translates an id to that of the namespace; None if it is not mapped.
func (m Map) ToInside(id uint32) uint32 {
	for i := range m {
		if e := &m[i]; id-e.Outside < e.Count {
			return e.Inside + (id - e.Outside)
		}
	}
	return None
}

// rangeToOutside translates the first of count ids that must be in one extent of m; None if
// they are not.
func (m Map) rangeToOutside(first, count uint32) uint32 {
	for i := range m {
		if e := &m[i]; first-e.Inside < e.Count && count <= e.Count-(first-e.Inside) {
			return e.Outside + (first - e.Inside)
		}
	}
	return None
}

// Through returns m with its outside ids translated by the map of the parent namespace. Ok is
// false if the parent does not map all of them.
//
// user_namespaces(7): "The mapped user IDs (group IDs) must in turn have a mapping in the
// parent user namespace." Each extent must lie in one of the parent's.
func (m Map) Through(parent Map) (_ Map, ok bool) {
	to := make(Map, len(m))
	for i, e := range m {
		outside := parent.rangeToOutside(e.Outside, e.Count)
		if outside == None {
			return nil, false
		}
		to[i] = Extent{e.Inside, outside, e.Count}
	}
	return to, true
}

// MapsToOutside reports whether an extent leads to the id outside.
func (m Map) MapsToOutside(id uint32) bool { return m.ToInside(id) != None }

// Parse parses the text of a map, as write(2) to uid_map or gid_map does. The error is EINVAL.
//
// user_namespaces(7): "The three fields of each line [...] must be valid numbers, and the last
// field must be greater than 0"; "each line must specify a range that does not overlap with the
// ranges in any other lines", in both namespaces.
func Parse(text []byte) (Map, unix.Errno) {
	if len(text) >= maxText {
		return nil, unix.EINVAL
	}
	text, _, _ = bytes.Cut(text, []byte{0}) // the kernel treats it as a string
	var m Map
	for {
		line, rest, more := bytes.Cut(text, []byte{'\n'})
		e, ok := parseLine(line)
		if !ok || m.overlaps(e) || len(m) == MaxExtents {
			return nil, unix.EINVAL
		}
		m = append(m, e)
		if !more || len(rest) == 0 {
			return m, 0
		}
		text = rest
	}
}

// parseLine parses one line, without its newline.
func parseLine(line []byte) (e Extent, ok bool) {
	for _, field := range [...]*uint32{&e.Inside, &e.Outside, &e.Count} {
		line = bytes.TrimLeft(line, spaces)
		digits := len(line) - len(bytes.TrimLeft(line, "0123456789"))
		if digits == 0 || digits < len(line) && bytes.IndexByte([]byte(spaces), line[digits]) < 0 {
			return e, false
		}
		var value uint64
		for _, c := range line[:digits] {
			value = value*10 + uint64(c-'0') // overflows as in the kernel
		}
		*field = uint32(value)
		line = line[digits:]
	}
	return e, len(bytes.Trim(line, spaces)) == 0 && e.Inside != None && e.Outside != None &&
		e.Inside+e.Count > e.Inside && e.Outside+e.Count > e.Outside
}

// spaces are the characters that separate fields: isspace() of the kernel, in ASCII.
const spaces = " \t\n\v\f\r"

// overlaps reports whether the ids of e overlap with those of m, inside or outside.
func (m Map) overlaps(e Extent) bool {
	for _, o := range m {
		if rangesOverlap(o.Inside, e.Inside, o.Count, e.Count) || rangesOverlap(o.Outside, e.Outside, o.Count, e.Count) {
			return true
		}
	}
	return false
}

// rangesOverlap reports whether two ranges of ids have one in common.
func rangesOverlap(a, b, countA, countB uint32) bool { return b-a < countA || a-b < countB }

// Compact returns the text of m as programs write it, with single spaces.
func (m Map) Compact() []byte {
	var b []byte
	for _, e := range m {
		b = fmt.Appendf(b, "%d %d %d\n", e.Inside, e.Outside, e.Count)
	}
	return b
}

// Append appends the text of m to b, as read(2) of the file returns it. Show translates an
// outside id for the process that reads.
func (m Map) Append(b []byte, show func(outside uint32) uint32) []byte {
	for _, e := range m {
		b = fmt.Appendf(b, "%10d %10d %10d\n", e.Inside, show(e.Outside), e.Count)
	}
	return b
}
