// Package agent is the seccomp agent of the OCI runtime specification: it listens on a
// socket for OCI runtimes, and hands each container over to a supervisor of its own.
//
// The agent itself handles system calls only until the container's program begins (see
// awaitProgram). From then on the supervisor does, so that the agent may stop at any time.
package agent
