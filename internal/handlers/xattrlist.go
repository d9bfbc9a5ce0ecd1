package handlers

import (
	"bytes"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// filterNames filters a list of NUL-terminated names of attributes in place, to what the
// container sees: trusted.* attributes only if seesTrusted; the capability attribute is hidden if
// it holds a record.
func filterNames(names []byte, seesTrusted, hideCapability bool) []byte {
	shown := names[:0]
	for len(names) > 0 {
		var name []byte
		name, names = cutName(names)
		if string(bytes.TrimSuffix(name, []byte{0})) == owner.Xattr || hideCapability && string(name) == capabilityXattr {
			continue
		}
		if bytes.HasPrefix(name, []byte(storedPrefix)) {
			name = storedName(name, seesTrusted)
			if hasName(shown, name) || hasName(names, name) { // the host's root has set it, too
				continue
			}
		}
		shown = append(shown, name...)
	}
	return shown
}

// filterStored is filterNames for the attributes of an attribute file. The container sees only
// stored ones.
func filterStored(names []byte, seesTrusted bool) []byte {
	shown := names[:0]
	for len(names) > 0 {
		var name []byte
		name, names = cutName(names)
		switch {
		case string(name) == storedPrefix+capabilityXattr:
			shown = append(shown, capabilityXattr...)
		case bytes.HasPrefix(name, []byte(storedPrefix)):
			shown = append(shown, storedName(name, seesTrusted)...)
		}
	}
	return shown
}

// cutName cuts the first name, with its NUL, from a list of names.
func cutName(names []byte) (name, rest []byte) {
	end := bytes.IndexByte(names, 0) + 1
	if end == 0 {
		end = len(names)
	}
	return names[:end], names[end:]
}

// storedName returns the name that the container sees of a stored attribute, empty if it
// does not see it.
func storedName(name []byte, seesTrusted bool) []byte {
	name = name[len(storedPrefix):]
	switch {
	case bytes.HasPrefix(name, []byte(trustedPrefix)) && seesTrusted,
		bytes.HasPrefix(name, []byte(securityPrefix)) && string(name) != capabilityXattr:
		return name
	}
	return nil
}

// hasName reports whether a list of names has name.
func hasName(names, name []byte) bool {
	for len(names) > 0 {
		var n []byte
		if n, names = cutName(names); bytes.Equal(n, name) {
			return true
		}
	}
	return false
}

// appendStored appends the names of the attributes in the attribute file of the inode, as
// the container sees them, to names, a list at the start of the buffer. Hidden is the room that
// the kernel would require for others.
func (c *Call) appendStored(i *inode, names []byte) (all []byte, hidden int) {
	var p owner.AttributePath
	path, e := c.Owners.Attributes(i.fd, i.stat.Mode, false, &p)
	if e != 0 {
		return names, 0
	}
	free := c.buffer()[len(names):]
	n, e := sys.Listxattr(path, true, free)
	if e != 0 {
		return names, 0
	}
	stored := free[:n]
	c.noteSecurity(stored)
	var at sys.FDPath
	seesTrusted, hidden := c.trusted(stored, at.Of(i.fd))
	stored = filterStored(stored, seesTrusted)
	return c.buffer()[:len(names)+len(stored)], hidden
}

// noteSecurity notes that there are security.* attributes if the list of names has a stored
// one.
func (c *Call) noteSecurity(names []byte) {
	if bytes.Contains(names, []byte(storedPrefix+securityPrefix)) && !c.Owners.SecurityInUse() {
		c.Owners.NoteSecurity()
	}
}
