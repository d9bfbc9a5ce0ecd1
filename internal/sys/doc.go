// Package sys makes raw system calls without allocating.
//
// The wrappers of golang.org/x/sys/unix copy every path into new memory and
// return errors as interfaces. A handler answers a notification in a few
// microseconds, so the wrappers here take NUL-terminated paths as they stand in
// the caller's buffers, and return plain error numbers, 0 for success.
//
// They are raw: the Go scheduler does not know that the thread is in a system
// call. Use them on threads that answer system calls, or where the call cannot
// block. All descriptors that they return are close-on-exec.
package sys
