// Package layer unpacks the layers of images, reads stacks of unpacked layers, and writes what has
// changed in them as new layers.
//
// An unpacked layer is a directory in the format of overlayfs with the mount option
// userxattr: a character device 0:0 is a whiteout, and a directory with the attribute
// user.overlay.opaque hides those of lower layers. Stacks of such directories can be mounted
// by overlayfs, or merged into one tree by Merge where that is impossible.
//
// Owners, device numbers and ACLs are records (package owner), so unpacking needs no
// supervision. It needs the capabilities of root in a user namespace that maps the caller:
// for the records of special files, for file capabilities, and for directories that their
// modes close. The working directory must be /proc (sys.FDPath).
//
// Within a container of subuidless, the supervisor is the one that stores records, and hides
// them. Without Owners, an Unpacker therefore calls chown(2), mknod(2) and setxattr(2) as root
// does. What is on the disk in the end is the same.
//
// # Trust
//
// A layer is data of a stranger. Its paths are resolved within the image, as
// path_resolution(7) describes for a process whose root is the image's: neither "..", nor an
// absolute link, nor a hard link leads out. Each directory is opened with openat2(2) and
// RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS, so that the kernel refuses what a mistake here would
// let through. Devices become placeholders, which open nothing of the host. Limits bound what
// a layer can cost.
package layer
