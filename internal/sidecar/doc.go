// Package sidecar implements the commands that show, shrink and move what a sidecar holds
// (see package owner): List, Collect, Export and Import.
//
// They read and write inodes that the user owns, but may not search, read or give a
// security.capability attribute. So the work on a tree happens in a helper process, the root
// of a user namespace that maps the user's id, as a worker does. What concerns other
// processes of the user happens outside of it, because only there may their descriptors be
// seen.
//
// To containers the commands are another container that shares the sidecar: single reads and
// writes of a record are atomic.
package sidecar
