// Package ociruntime is an OCI runtime command line in front of crun or runc, under which
// containers are supervised without an agent.
//
// For create and run, it writes an adapted copy of the bundle's config.json into a directory
// of its own, the container's state directory, and gives the runtime that directory as the
// bundle: the engine's file stays as it is. The copy names a socket in the same directory as
// the listenerPath. This process accepts the connection of the runtime there, and hands the
// container over to a supervisor. For exec it does the same, and the supervisor that runs
// adopts the new process. All other commands go to the runtime.
//
// The runtime runs as root of a user namespace that maps one id: that of the engine, or one
// that create makes and exec joins. There the kernel lets this process inspect the runtime's
// processes, and runc its own.
//
// # State
//
// With --root R, the runtime's own state is in R, and that of this package in R.subuidless,
// one directory for each container. Whoever creates, changes or removes such a directory
// holds a lock on it (flock(2)). It is removed when the container is gone from R.
package ociruntime
