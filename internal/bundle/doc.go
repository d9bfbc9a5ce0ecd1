// Package bundle creates and rewrites config.json of an OCI bundle, so that an OCI runtime
// starts the container with a single mapped id and sends the emulated system calls to the
// agent. It preserves everything else in the file.
//
// Most of the package is about linux.seccomp: injection computes the rules to add, profile
// says what the existing rules do, and condition is the algebra of their arguments.
package bundle
