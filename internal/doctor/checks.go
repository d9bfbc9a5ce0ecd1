package doctor

// Checks are all the checks, in the order in which they are printed.
var Checks = []Check{
	{
		Name: "processor", Weight: Needed,
		Without: "subuidless does not know the numbers of the system calls",
		Probe:   knownArchitecture,
	},
	{
		Name: "seccomp user notification", Weight: Needed, Since: "Linux 5.5",
		Without: "nothing works: it is how subuidless answers system calls",
		Probe:   listenerCan(func(l listener) error { return l.answer }),
	},
	{
		Name: "pidfd_getfd", Weight: Needed, Since: "Linux 5.6",
		Without: "the supervisor cannot take the listener, nor what a program has open",
		Probe:   pidfdGetfd,
	},
	{
		Name: "user namespaces", Weight: Needed,
		Without: "no container can be started without being root",
		Probe:   userNamespace,
	},
	{
		Name: "reading the memory of others", Weight: Needed,
		Without: "subuidless cannot read the paths that programs pass to system calls",
		Probe:   ptraceAllowed,
	},
	{
		Name: "sidecar directory", Weight: Useful,
		Without: "changing owners of symbolic links, FIFOs and sockets fails with EROFS",
		Probe:   sidecarDirectory,
	},
	{
		Name: "xattrs on this directory", Weight: Useful,
		Without: "owners of files here go to the sidecar, which is slower and unknown to other tools (umoci, PRoot)",
		Probe:   workDirectory,
	},
	{
		Name: "xattrs on tmpfs", Weight: Useful, Since: "Linux 6.6",
		Without: "owners of files on a tmpfs (/tmp, /run, /dev/shm) go to the sidecar",
		Probe:   tmpfsXattr,
	},
	{
		Name: "synchronous wake-up", Weight: Useful, Since: "Linux 6.6",
		Without: "each emulated system call takes about three times as long",
		Probe:   listenerCan(func(l listener) error { return l.syncWakeUp }),
	},
	{
		Name: "killable wait", Weight: Useful, Since: "Linux 5.19",
		Without: "signals restart emulated system calls, and slow ones may hang in Go programs",
		Probe:   killableWait,
	},
	{
		Name: "adding descriptors", Weight: Useful, Since: "Linux 5.9",
		Without: "programs that are not root cannot make files, and placeholders of devices cannot be opened",
		Probe:   listenerCan(func(l listener) error { return l.addFD }),
	},
	{
		Name: "limit of file locks", Weight: Useful,
		Without: "no program can become another user than root: setuid fails with EAGAIN",
		Probe:   unlimitedLocks,
	},
	{Name: "io_uring", Weight: Informative, Probe: ioUring},
	{Name: "/etc/subuid", Weight: Informative, Probe: subordinateIDs},
	{Name: "crun", Weight: Informative, Probe: installed("crun")},
	{Name: "runc", Weight: Informative, Probe: installed("runc")},
	{Name: "podman", Weight: Informative, Probe: installed("podman")},
}
