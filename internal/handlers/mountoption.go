package handlers

import (
	"bytes"
	"log/slog"
	"strconv"

	"golang.org/x/sys/unix"
)

// Mount options such as "gid=5", which most programs that mount a devpts set, name owners
// in the new file system. The kernel refuses ids that are not mapped (EINVAL). All files
// belong to the mapped id anyway, so these options are removed.

// maxOptions is the size of mount(2)'s data that the kernel reads: a page, including the
// NUL that it puts at the end.
const maxOptions = 4096

// supportsOwnerOptions reports whether a file system of that type has such options, and can
// be mounted in a user namespace. All of these take their options as text.
func supportsOwnerOptions(fstype []byte) bool {
	switch string(fstype) {
	case "tmpfs", "devpts", "proc", "bpf":
		return true
	}
	return false
}

// optionlessFlags are the flags of mount(2) with which "the filesystemtype and data
// arguments are ignored".
const optionlessFlags = unix.MS_BIND | unix.MS_MOVE | unix.MS_SHARED |
	unix.MS_PRIVATE | unix.MS_SLAVE | unix.MS_UNBINDABLE

// hasOwnerOptions reports whether the call mount(source, target, filesystemtype,
// mountflags, data) passes options to a file system that has options for owners.
func (c *Call) hasOwnerOptions() bool {
	if c.mountFlags()&optionlessFlags != 0 || c.addr(4) == 0 {
		return false
	}
	var fstype [16]byte
	n, e := c.Target.ReadString(c.addr(2), fstype[:])
	return e == 0 && supportsOwnerOptions(fstype[:n])
}

// mountFlags returns argument 3 of mount(2).
//
// "The mountflags argument may have the magic number 0xC0ED (MS_MGC_VAL) in the top 16 bits."
func (c *Call) mountFlags() uint64 {
	flags := c.Data.Args[3]
	if flags&unix.MS_MGC_MSK == unix.MS_MGC_VAL {
		flags &^= unix.MS_MGC_MSK
	}
	return flags
}

// dropOwnerOptions removes ids that are not mapped from the options at addr, which the
// kernel is about to read. It changes the caller's own memory: the mount must be the
// caller's, in its own mount namespace, and programs use the text for mounts only.
func (c *Call) dropOwnerOptions(addr uintptr) {
	var b [maxOptions]byte
	n, e := c.Target.ReadString(addr, b[:])
	if e != 0 {
		return
	}
	changed := false
	for rest := b[:n]; len(rest) > 0; {
		var option []byte
		if end := bytes.IndexByte(rest, ','); end >= 0 {
			option, rest = rest[:end], rest[end+1:]
		} else {
			option, rest = rest, nil
		}
		name, value, _ := bytes.Cut(option, []byte{'='})
		if c.setsUnmappedOwner(name, value) {
			// The kernel skips empty options.
			for i := range option {
				option[i] = ','
			}
			changed = true
		}
	}
	if changed && c.write(addr, b[:n]) == unix.EFAULT && c.Target.WriteConstant(addr, b[:n]) != 0 {
		// The kernel refuses the option and reports it.
		slog.Warn("a mount fails with EINVAL: its options uid= or gid= are in constant memory",
			"remedy", "the kernel's parameter proc_mem.force_override must not restrict writing to /proc/PID/mem")
	}
}

// setsUnmappedOwner reports whether a mount option sets an owner that the kernel does not map. In
// a nested user namespace, what it maps is not what the caller means.
func (c *Call) setsUnmappedOwner(name, value []byte) bool {
	mapped := c.Owners.Mapped.UID
	switch string(name) {
	case "uid":
	case "gid":
		mapped = c.Owners.Mapped.GID
	default:
		return false
	}
	id, err := strconv.ParseUint(string(value), 0, 32)
	return err == nil && (uint32(id) != mapped || c.namespace() != nil)
}
