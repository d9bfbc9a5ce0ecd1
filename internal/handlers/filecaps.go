package handlers

import (
	"unsafe"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/owner"
)

// fileCaps returns the capabilities of the file that fd, one of our O_PATH descriptors,
// refers to. Ok is false if it has none that apply in the container.
//
// The kernel converts them for the worker's user namespace, which is the container's.
// capabilities(7): "when a version 3 security.capability attribute is retrieved
// (getxattr(2)) by a process that resides inside a user namespace that was created by the
// root user ID (or a descendant of that user namespace), the returned attribute is
// (automatically) simplified to appear as a version 2 attribute". For those that root of
// the host has set, the error is EOVERFLOW.
func fileCaps(fd int) (_ cred.FileCaps, ok bool) {
	var value [fileCapsMax]byte
	n, e := getxattrOPath(fd, unsafe.StringData(capabilityXattr), value[:])
	if e != 0 || owner.IsCapabilityRecord(value[:n]) { // those of another root do not apply
		return cred.FileCaps{}, false
	}
	caps, e := cred.ParseFileCaps(value[:n])
	return caps, e == 0
}

// fileCapsMax is the size of struct vfs_ns_cap_data, the largest value of the attribute.
const fileCapsMax = 24

// capabilityXattr is the NUL-terminated name of the attribute that stores a file's
// capabilities.
const capabilityXattr = "security.capability\x00"
