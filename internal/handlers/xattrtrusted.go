package handlers

import (
	"bytes"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
)

// To the kernel, trusted.* attributes are for the host's root alone. The container has
// its own: trusted.x is kept as user.rootlesscontainers.trusted.x.
//
// xattr(7): "Trusted extended attributes are visible and accessible only to processes that
// have the CAP_SYS_ADMIN capability."
const (
	trustedPrefix = "trusted."
	storedPrefix  = owner.Xattr + "."
)

// keep makes of the name of a trusted attribute the name that it is kept by;
// false if that is too long.
func (a *xattrName) toStored() bool {
	n := bytes.IndexByte(a[:], 0)
	if n == len(trustedPrefix) {
		copy(a[:], "user.\x00") // to the kernel as wrong as "trusted."
		return true
	}
	if len(storedPrefix)+n >= len(a) {
		return false
	}
	copy(a[len(storedPrefix):], a[:n+1])
	copy(a[:], storedPrefix)
	return true
}

// getTrusted handles a call that reads the trusted attribute a of o into size bytes at addr.
func (c *Call) getTrusted(o object, a *xattrName, addr uintptr, size uint64) Result {
	if !c.identity().Capable(unix.CAP_SYS_ADMIN) || !a.toStored() {
		return c.onHidden(o, getHidden)
	}
	i, e := c.openForAttributes(o)
	if e != 0 {
		return Errno(e)
	}
	defer c.close(i)
	n, e := getxattrOPath(i.fd, &a[0], c.buffer())
	if e != 0 {
		return Errno(e)
	}
	return c.returnValue(c.buffer()[:n], addr, size)
}

// shownNames makes of a list of NUL-terminated names of attributes, in place, the list that
// the container sees: trusted.* are for who is privileged.
func filterNames(names []byte, privileged bool) []byte {
	shown := names[:0]
	for len(names) > 0 {
		end := bytes.IndexByte(names, 0) + 1
		if end == 0 {
			end = len(names)
		}
		name := names[:end]
		names = names[end:]
		if string(bytes.TrimSuffix(name, []byte{0})) == owner.Xattr {
			continue
		}
		if kept, ok := bytes.CutPrefix(name, []byte(storedPrefix)); ok {
			if !privileged || !bytes.HasPrefix(kept, []byte(trustedPrefix)) {
				continue
			}
			name = kept
		}
		shown = append(shown, name...)
	}
	return shown
}
