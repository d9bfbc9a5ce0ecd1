// Package owner stores records: the owner that a file has inside the container, the
// device that a placeholder stands for, and ACLs that the kernel cannot store. A record
// is in the file's extended attribute user.rootlesscontainers, or in the sidecar if the
// file cannot carry that attribute. The owners that a container gives to device nodes,
// FIFOs and sockets of the host are in memory, for that container only, and so are all
// records of subuidless fakeroot (temporary.go). The sidecar forgets inodes that are gone
// (forget.go), and package sidecar reads it (inventory.go). The package does not check
// permissions.
//
// # Concurrency
//
// Every method of Store may be called by all receivers at the same time. A single read
// or write of a record is atomic, also against other containers: setxattr(2) replaces an
// attribute as a whole, and the entries of the sidecar are symbolic links that
// symlinkat(2) and renameat(2) put in place.
//
// Set, and any sequence of Record and SetRecord, reads a record and writes it back.
// Callers hold Store.Lock on the inode for that, unless no other task can reach the inode
// yet. The lock order is: a directory before the inode made in it. No caller holds the
// locks of two inodes otherwise. The locks are in the memory of one worker: they end with
// it, and do not exclude workers of other containers that share the files.
package owner
