package owner

import (
	"bytes"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxEntry is more than the length of the longest entry of the sidecar with its NUL,
// "4294967295:4294967295:c:4095:1048575".
const maxEntry = 40

// appendEntry appends r as the text of an entry, without the ACLs, to b. See Sidecar for
// the format.
func (r *Record) appendEntry(b []byte) []byte {
	b = strconv.AppendUint(b, uint64(r.UID), 10)
	b = strconv.AppendUint(append(b, ':'), uint64(r.GID), 10)
	if r.Type == 0 {
		return b
	}
	letter := byte('c')
	if r.Type == unix.S_IFBLK {
		letter = 'b'
	}
	b = append(b, ':', letter, ':')
	b = strconv.AppendUint(b, uint64(unix.Major(r.Rdev)), 10)
	return strconv.AppendUint(append(b, ':'), uint64(unix.Minor(r.Rdev)), 10)
}

// parseEntry parses the text of an entry into r, and reports whether it is valid. If not,
// r does not change.
func (r *Record) parseEntry(b []byte) bool {
	uid, b, more := bytes.Cut(b, colon)
	if !more {
		return false
	}
	gid, device, isDevice := bytes.Cut(b, colon)
	var parsed Record
	ok := parseDecimal(uid, Noop, &parsed.UID) && parseDecimal(gid, Noop, &parsed.GID) &&
		(!isDevice || parsed.parseDevice(device))
	if ok {
		r.ID, r.Type, r.Rdev = parsed.ID, parsed.Type, parsed.Rdev
	}
	return ok
}

var colon = []byte{':'}

// The kernel's dev_t has 12 bits for the major and 20 for the minor number:
// <linux/kdev_t.h>.
const (
	maxMajor = 1<<12 - 1
	maxMinor = 1<<20 - 1
)

// parseDevice parses "c:MAJOR:MINOR" or "b:MAJOR:MINOR", and reports whether it is valid.
func (r *Record) parseDevice(b []byte) bool {
	letter, numbers, _ := bytes.Cut(b, colon)
	switch string(letter) {
	case "c":
		r.Type = unix.S_IFCHR
	case "b":
		r.Type = unix.S_IFBLK
	default:
		return false
	}
	major, minor, _ := bytes.Cut(numbers, colon)
	var numMajor, numMinor uint32
	ok := parseDecimal(major, maxMajor, &numMajor) && parseDecimal(minor, maxMinor, &numMinor)
	r.Rdev = unix.Mkdev(numMajor, numMinor)
	return ok
}

// parseDecimal parses an unsigned number of at most ten digits, and reports whether it is
// valid and not above limit.
func parseDecimal(b []byte, limit uint32, v *uint32) bool {
	if len(b) == 0 || len(b) > 10 {
		return false
	}
	var sum uint64
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
		sum = sum*10 + uint64(c-'0')
	}
	*v = uint32(sum)
	return sum <= uint64(limit)
}
