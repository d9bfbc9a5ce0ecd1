package main

import "strings"

// docs/ownership.md lists known differences from real root. To keep them out of the
// results, both sides avoid them, as narrowly as possible.

// How a call may clear set-id bits (shared.h).
const (
	clearsNothing = 0
	clearsFD      = 1 // of the file of its descriptor
	clearsAt      = 2 // of the file at its descriptor and path
	clearsPath    = 3 // of the file at its path
)

// clearsSetID returns how the operation writes to a file, if it does. Of a set-id file that
// is open for writing, the bits may stay on one side only: both sides clear them afterwards.
func clearsSetID(o op) uint32 {
	switch name := o.Call.name; {
	case name == "write", name == "ftruncate":
		return clearsFD
	case name == "creat", name == "truncate", name == "open" && strings.Contains(o.Args[1], "O_TRUNC"):
		return clearsPath
	case strings.HasPrefix(name, "openat") && strings.Contains(o.Args[2], "O_TRUNC"):
		return clearsAt
	}
	return clearsNothing
}
