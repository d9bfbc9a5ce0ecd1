package handlers

import (
	"github.com/rootless-containers/subuidless/internal/cred"
)

// fileCaps returns the capabilities of the file that fd, one of our own O_PATH
// descriptors, refers to; false if it has none that count in the container.
//
// The kernel shows them as they are for the worker's user namespace, which is the
// container's. capabilities(7): "when a version 3 security.capability attribute is
// retrieved (getxattr(2)) by a process that resides inside a user namespace that was
// created by the root user ID (or a descendant of that user namespace), the returned
// attribute is (automatically) simplified to appear as a version 2 attribute". Those
// that the host's root has set give EOVERFLOW.
func fileCaps(fd int) (cred.FileCaps, bool) {
	var value [fileCapsMax]byte
	n, e := getxattrOPath(fd, &capabilityXattr[0], value[:])
	if e != 0 {
		return cred.FileCaps{}, false
	}
	caps, e := cred.ParseFileCaps(value[:n])
	return caps, e == 0
}

// fileCapsMax is the size of struct vfs_ns_cap_data, the largest value.
const fileCapsMax = 24

// capability is the name of the attribute of a file's capabilities.
var capabilityXattr = [...]byte{'s', 'e', 'c', 'u', 'r', 'i', 't', 'y', '.', 'c', 'a', 'p', 'a', 'b', 'i', 'l', 'i', 't', 'y', 0}
