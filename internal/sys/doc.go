// Package sys makes raw system calls without allocating memory.
//
// The wrappers in golang.org/x/sys/unix copy every path into new memory, and return errors as
// interfaces. A handler has a few microseconds for a notification, so the wrappers here take
// NUL-terminated paths directly from the caller's buffers, and return plain error numbers: 0
// means success. Unless a comment says otherwise, arguments and errors are those of the man
// page named, paths must not be nil, and a failed call that returns a descriptor or a number
// of bytes returns -1.
//
// A call that may wait for a file system, or for memory of a task, which may be that of a file,
// lets the Go scheduler know that the thread is in a system call: the server of a FUSE file system
// may be in the container, and wait for an answer that another thread gives. All other calls are
// raw. All descriptors that they return are close-on-exec.
package sys
