package main

import "strings"

// What docs/ownership.md lists as differences from real root is no news: here real root is
// made to see the same, as narrowly as can be.

// How a call takes set-id bits away (shared.h).
const (
	clearsNothing = 0
	clearsFD      = 1 // of its descriptor
	clearsAt      = 2 // of the file at its descriptor and path
	clearsPath    = 3 // of the file at its path
)

// clearsSetID tells whether the operation writes to a file: "Writing to a set-id file clears the bits, also for root".
// Real root makes these calls without CAP_FSETID.
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
