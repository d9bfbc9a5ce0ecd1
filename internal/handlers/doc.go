// Package handlers implements the emulated system calls.
//
// A row of the table in package syscalls names a Handler, a function from a Call to a
// Result. When the filter notifies the worker of a call, a receiver fills its Call, calls the
// handler and sends the Result. The files sys_*.go hold handlers, one family of system calls
// each; the other files hold the mechanism that handlers share.
//
// # Answers
//
// The zero Result makes the call return 0, Return another value, Errno an error. File gives
// the caller a duplicate of one of our descriptors. Most important is Continue: the kernel
// executes the call. It is the answer wherever the kernel does the right thing by itself,
// because it is cheap, and right in every detail.
//
//   - kernelDecides: the caller has the capabilities with which the kernel's decision is right.
//   - kernelSuffices: what the caller creates needs no record.
//   - reach: the kernel executes the call if the caller may reach the object of a path.
//
// Errors are mostly Continue, too: the kernel finds them again, in its own order. A handler
// returns an error only if the kernel would not: EPERM and EACCES for what the kernel would
// grant root (continueUnlessDenied, deny, continueOrDeny), and errors of changes that it makes
// itself. Before such an error it checks what the kernel checks first, and continues; a
// comment next to Continue names the error that the kernel will return. On a read-only mount
// EROFS comes before a missing permission (preferEROFS).
//
// Wait makes the call wait until one of our descriptors is ready, without a receiver; the handler
// then runs again from the beginning. It is for calls that the kernel would let wait, and that it
// may not execute (receive in sys_recvmsg.go).
//
// The check and the kernel's execution are separate steps, and the caller's memory may change
// in between. Where the difference matters, the handler makes the change itself, on the
// descriptor that it has checked (permission.go).
//
// # Vocabulary
//
//   - identity: the caller's emulated credentials, read once per call. become changes them,
//     setCredentials is become for credentials that package cred has computed.
//   - namespace: the caller's user namespace, if it is one below the container's. All other ids
//     are those of the container's namespace: given* translates what such a caller gives, and
//     shown* what it sees (namespace.go).
//   - inRuntime: the caller is the OCI runtime or the stage, not yet the container's program.
//     It has all capabilities, and the kernel executes most of its calls.
//   - restricted: the caller lacks the capabilities to bypass file permission checks, and
//     NoPermissions is off. Package target then walks each path step by step, and asks the
//     Guard about each step. A Call is the Guard: Passable, Search, Follow and Jump.
//   - object: the file that a call names by path or descriptor, before it is opened.
//     byPath and byLink are the path in argument 0; byFD means a descriptor without a path.
//   - inode: the file after it has been opened: a descriptor, its status, and its record.
//   - record: owner, device number and ACLs that subuidless stores for an inode. load reads it.
//   - visible: owner and mode of an inode as the container sees them, from status and record.
//   - marked: a regular file whose set-id bits may be in its record (setid.go).
//   - permits: whether mode and ACL of an inode grant the caller a permission.
//   - Needs, lacksCap: the call requires a capability that the kernel would grant.
//
// # Threads
//
// A Call belongs to the thread of one receiver, and so does its target.Task. All that a
// handler calls runs on that thread: a goroutine of its own would run with other attributes.
//
//   - The root directory is the container's, or the target's where tasks have different ones
//     (the receiver calls AdoptRoot). The working directory is the supervisor's /proc, so that
//     TID/cwd and TID/fd/N lead to where the target's paths start. A handler that changes it
//     must call ReturnToProc (bindUnix).
//   - AdoptUmask, EnterNetwork and EnterIPC give the thread the umask, network namespace and
//     IPC namespace of a target. They stay, so each handler that depends on them must set them first.
//   - asCaller drops effective capabilities while it calls a function, which must not panic.
//
// Receivers run handlers concurrently. They share Owners, Identities, IPC, Sockets, Roots,
// Devices, Protected, Maps and Mounts, which are safe for that.
//
// Locks: makeIn holds the owner lock of the directory, so that one inode is created in it at
// a time, and then takes that of the new inode. This is the only order. chown and setACL hold
// the lock of one inode. A file system may be at work meanwhile whose server is in the
// container, and whose calls other receivers must answer: never take the lock of an inode
// that the work does not concern.
//
// # Memory
//
//   - A target.Path is valid until the Task makes the next one, from a path or a descriptor. So
//     is a name that openParent returns.
//   - buffer is valid until its next use, and used for values of attributes, lists of
//     attributes and directory entries.
//   - An inode goes back to the pool of its Call with close (or release after borrow). Its ACLs
//     are valid until then, and until the record is loaded again.
//   - The groups of an identity are shared, and must not be changed.
//   - The caller's memory may change at any time: read it once, and decide on the copy. write
//     checks first that the caller still waits.
//
// Handlers run on the hot path, where garbage collection would stop all receivers: they
// allocate and format nothing. TestHotCallsAllocateNothing checks the most frequent calls.
// What is rare may allocate: copies of /proc/PID/status, maps of user namespaces, the values of ACLs, lists of groups,
// processes and threads, the count of descriptors near RLIMIT_NOFILE, and the creation of
// inodes that need a record. The inodes of the pool, with the buffers of their records, and the
// memory of buffer are allocated once per receiver.
//
// # Running twice
//
// A handler may run again for the same call: its worker may have died between the effect and
// the answer, or a signal may have interrupted the caller, so that the kernel restarts the
// call. Most effects are the same the second time. Where the first attempt changes what the
// second one finds, the handler notes an Intent before the effect. It is in the journal, which
// outlives the worker. If the call comes back, Again is true, Before is a time after the first
// attempt, and resumes reports whether the Intent is that of the call:
//
//   - makeIn notes the directory, in case that another one has its path then, and that the name
//     did not exist, to tell its own inode from an older one; ipcGetOrCreate that the key did
//     not exist;
//   - chown notes the inode, in case that another one has its path then;
//   - setFSID stores the id to return in Previous;
//   - getdents64 notes the position in the directory.
//
// bindPort needs none: it recognizes its own effect by the address of the socket. Final is for
// other effects that must not happen twice. If a signal interrupts the caller, the answer is
// kept for the call that comes back; the death of a worker before the answer is not covered.
//
// A signal or execve(2) may also end the wait, and the thread id may belong to another task
// soon. Before an effect that depends on the identity of the caller, Listener.Waits must be
// true; the error is ESRCH, which no task sees.
package handlers
