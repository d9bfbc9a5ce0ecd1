// Package target gives the worker access to a target, the task whose system call it
// handles: its memory, its descriptors, its paths and what /proc shows of it.
//
// A receiver, the thread that receives notifications, has a root and a working
// directory of its own (CLONE_FS unshared, see Enter). Its root is the container's,
// so the kernel resolves absolute paths and symbolic links as in the container. Its
// working directory is the supervisor's /proc, so the relative paths "TID/cwd/..."
// and "TID/fd/N/..." start where the target's own relative paths start. Hence a
// single system call with the right prefix resolves most of the target's paths.
//
// Two kinds of paths need more. Through /proc/self and /proc/thread-self the
// receiver would find itself instead of the target, and a restricted caller must be
// checked in every directory: see Guard. Such a path is walked one component at a
// time (walk.go).
package target
