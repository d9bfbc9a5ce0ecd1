package main

import "strings"

// What docs/ownership.md lists as differences from real root is no news: here real root is
// made to see the same, as narrowly as can be.

// clearsSetID tells whether the operation writes to a file: "Writing to a set-id file clears the bits, also for root".
// Real root makes these calls without CAP_FSETID.
func clearsSetID(o op) bool {
	switch o.Call.name {
	case "write", "truncate", "ftruncate", "creat":
		return true
	case "open", "openat", "openat2":
		return strings.Contains(o.String(), "O_TRUNC")
	}
	return false
}
