package main

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/acl"
)

// The functions in this file omit what depends on the machine rather than the program:
// times, inode numbers, the devices of file systems, and the number of blocks of a file.

func showResult(n int64) string {
	switch {
	case n == resultDead:
		return "-"
	case n == resultHung:
		return "hangs"
	case n < 0 && n > -4096:
		return unix.ErrnoName(unix.Errno(-n))
	}
	return strconv.FormatInt(n, 10)
}

func quote(b []byte) string {
	if len(b) > 64 {
		return fmt.Sprintf("%q...", b[:64])
	}
	return strconv.Quote(string(b))
}

// unnamed matches what readlink(2) gives for a descriptor of a file of O_TMPFILE: its length, and a path
// whose last component is # and the inode number.
var unnamed = regexp.MustCompile(`^\d+ "([^"]*/#)\d[^"]*"`)

// hideUnnamed omits the inode number from a result, and the length, which depends on it.
func hideUnnamed(result string) string { return unnamed.ReplaceAllString(result, `"$1"`) }

func u32(b []byte, at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
func u64(b []byte, at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }

func showStat(b []byte, _ int64) string {
	at := statLayout
	dev, mode := u64(b, at.rdev), u32(b, at.mode)
	return fmt.Sprintf("%06o nlink %d owner %s size %d device %d:%d", mode, u32(b, at.nlink), showOwner(mode, u32(b, at.uid), u32(b, at.gid)),
		u64(b, at.size), unix.Major(dev), unix.Minor(dev))
}

// showOwner shows an owner. There is no record of the owner of a socket without a name,
// or of an inode without a type such as inotify's (docs/ownership.md).
func showOwner(mode, uid, gid uint32) string {
	if mode == unix.S_IFSOCK|0o777 || mode&unix.S_IFMT == 0 {
		return "unknown"
	}
	return fmt.Sprintf("%d:%d", uid, gid)
}

func showStatx(b []byte, _ int64) string {
	mode := uint32(binary.LittleEndian.Uint16(b[28:]))
	return fmt.Sprintf("%06o nlink %d owner %s size %d device %d:%d", mode, u32(b, 16), showOwner(mode, u32(b, 20), u32(b, 24)),
		u64(b, 40), u32(b, 128), u32(b, 132))
}

func showID(b []byte, _ int64) string { return strconv.FormatUint(uint64(u32(b, 0)), 10) }

// missingCaps are capabilities that real root lacks on this machine. They are not shown.
var missingCaps uint64

func showCaps(b []byte, _ int64) string {
	var s []string
	for i := range 3 {
		s = append(s, fmt.Sprintf("%x", (uint64(u32(b, 4*i))|uint64(u32(b, 12+4*i))<<32)&^missingCaps))
	}
	return strings.Join(s, " ")
}

func showBytes(b []byte, n int64) string {
	if n > int64(len(b)) {
		return ""
	}
	return quote(b[:n])
}

func showNames(b []byte, n int64) string {
	if n > int64(len(b)) {
		return ""
	}
	names := strings.Split(strings.TrimSuffix(string(b[:n]), "\x00"), "\x00")
	slices.Sort(names)
	return strings.Join(names, " ")
}

func showGroups(b []byte, n int64) string {
	var s []string
	for i := 0; i < int(n) && 4*i < len(b); i++ {
		s = append(s, strconv.FormatUint(uint64(u32(b, 4*i)), 10))
	}
	return "[" + strings.Join(s, " ") + "]"
}

// showEntries shows the entries of a directory, sorted, each with its d_type.
func showEntries(b []byte, n int64) string {
	var entries []string
	for b = b[:min(int(n), len(b))]; len(b) > 19; b = b[binary.LittleEndian.Uint16(b[16:]):] {
		name, _, _ := strings.Cut(string(b[19:]), "\x00")
		entries = append(entries, name+"("+showType(b[18])+")")
	}
	slices.Sort(entries)
	return strings.Join(entries, " ")
}

// showType shows a d_type.
func showType(kind byte) string {
	switch kind {
	case unix.DT_DIR:
		return "directory"
	case unix.DT_LNK:
		return "link"
	case unix.DT_FIFO:
		return "FIFO"
	case unix.DT_CHR:
		return "character device"
	case unix.DT_BLK:
		return "block device"
	case unix.DT_SOCK:
		return "socket"
	case unix.DT_REG:
		return "file"
	}
	return "unknown"
}

// attributes shows the extended attributes of an inode of the tree.
func (t *treeReader) attributes() string {
	size := t.number()
	if size < 0 {
		return " llistxattr " + showResult(size)
	}
	var s []string
	for size > 0 {
		n := t.number()
		name := string(t.bytes(n))
		size -= n + 1
		shown := " " + name + "="
		if n := t.number(); n < 0 {
			shown += showResult(n)
		} else {
			shown += showAttribute(name, t.bytes(n))
		}
		s = append(s, shown)
		if t.rest == nil {
			break
		}
	}
	slices.Sort(s)
	return strings.Join(s, "")
}

func showAttribute(name string, value []byte) string {
	if !strings.HasPrefix(name, "system.posix_acl") {
		return quote(value)
	}
	a, e := acl.Decode(value)
	if e != 0 {
		return quote(value)
	}
	return fmt.Sprint(a)
}
