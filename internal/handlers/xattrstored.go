package handlers

import (
	"bytes"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
)

// The kernel reserves trusted.* attributes for root of the host. The container has its own:
// trusted.x is stored as user.rootlesscontainers.trusted.x.
//
// xattr(7): "Trusted extended attributes are visible and accessible only to processes that
// have the CAP_SYS_ADMIN capability."
const (
	trustedPrefix = "trusted."
	storedPrefix  = owner.Xattr + "."
)

// toStored converts the name of a trusted attribute to the name under which it is stored.
// It returns false if that is too long.
func (a *xattrName) toStored() bool {
	n := bytes.IndexByte(a[:], 0)
	if n == len(trustedPrefix) {
		copy(a[:], "user.\x00") // which the kernel refuses as it refuses "trusted."
		return true
	}
	if len(storedPrefix)+n >= len(a) {
		return false
	}
	copy(a[len(storedPrefix):], a[:n+1])
	copy(a[:], storedPrefix)
	return true
}

// getTrusted handles a call that reads the trusted attribute a of o into size bytes at
// addr.
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

// filterNames filters a list of NUL-terminated names of attributes in place, to what the
// container sees. Only a privileged caller sees trusted.* attributes; the capability attribute
// is hidden if it holds a record.
func filterNames(names []byte, privileged, hideCapability bool) []byte {
	shown := names[:0]
	for len(names) > 0 {
		end := bytes.IndexByte(names, 0) + 1
		if end == 0 {
			end = len(names)
		}
		name := names[:end]
		names = names[end:]
		if string(bytes.TrimSuffix(name, []byte{0})) == owner.Xattr || hideCapability && string(name) == capabilityXattr {
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
