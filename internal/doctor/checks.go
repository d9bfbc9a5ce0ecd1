package doctor

// Checks are all checks, in the order in which Print prints their findings.
var Checks = append([]Check{
	{
		Name: "processor", Weight: Needed,
		Without: "subuidless does not know the system call numbers",
		Probe:   knownArchitecture,
	},
	{
		Name: "isolation", Weight: Needed,
		Without: "no container can run",
		Probe:   waysToRun,
	},
	{
		Name: "seccomp user notification", Weight: Needed, Supervision: true, Since: "Linux 5.5",
		Without: "nothing works: it is how subuidless intercepts system calls",
		Probe:   listenerCan(func(l listener) error { return l.answer }),
	},
	{
		Name: "pidfd_getfd", Weight: Needed, Supervision: true, Since: "Linux 5.6",
		Without: "the supervisor cannot get the seccomp listener, nor the files that programs have open",
		Probe:   pidfdGetfd,
	},
	{
		Name: "user namespaces", Weight: Needed, Supervision: true,
		Without: "only root can start containers",
		Probe:   userNamespace,
	},
	{
		Name: "a new /proc", Weight: Useful, Supervision: true,
		Without: "run, and RUN of build, start no container; exec works",
		Probe:   newProc,
	},
	{
		Name: "reading process memory", Weight: Needed, Supervision: true,
		Without: "subuidless cannot read the paths that programs pass to system calls",
		Probe:   ptraceAllowed,
	},
	{
		Name: "sidecar directory", Weight: Useful,
		Without: "changing owners on file systems without extended attributes fails with EROFS",
		Probe:   sidecarDirectory,
	},
	{
		Name: "xattrs on this directory", Weight: Useful,
		Without: "owners of files here are stored in the sidecar, which is slower, and which other tools (umoci, PRoot) do not read",
		Probe:   workDirectory,
	},
	{Name: "records on this directory", Weight: Informative, Probe: recordsHere},
	{
		Name: "xattrs on tmpfs", Weight: Useful, Since: "Linux 6.6",
		Without: "owners of files on tmpfs (/tmp, /run, /dev/shm) are stored in the sidecar",
		Probe:   tmpfsXattr,
	},
	{
		Name: "synchronous wake-up", Weight: Useful, Since: "Linux 6.6",
		Without: "each emulated system call takes about three times as long",
		Probe:   listenerCan(func(l listener) error { return l.syncWakeUp }),
	},
	{
		Name: "killable wait", Weight: Useful, Since: "Linux 5.19",
		Without: "signals restart emulated system calls, and slow calls of Go programs may hang",
		Probe:   killableWait,
	},
	{
		Name: "adding descriptors", Weight: Useful, Since: "Linux 5.9",
		Without: "non-root programs cannot create files, and placeholders of devices cannot be opened",
		Probe:   listenerCan(func(l listener) error { return l.addFD }),
	},
	{
		Name: "pidfds of threads", Weight: Useful, Since: "Linux 6.9",
		Without: "calls that need a capability fail in threads that do not share descriptors with their process, and such threads see no users at the other end of sockets",
		Probe:   threadPidfds,
	},
	{
		Name: "protected links and files", Weight: Useful, Since: "Linux 5.11",
		Without: "fs.protected_hardlinks and the like are assumed to be as strict as possible",
		Probe:   protectedSettings,
	},
	{
		Name: "overwriting constants", Weight: Useful, Supervision: true,
		Without: "mounts with uid= or gid= options in constant memory fail with EINVAL",
		Probe:   overwritesConstants,
	},
	{
		Name: "accelerated processes", Weight: Useful, Supervision: true,
		Without: "each emulated system call is a message to the supervisor: find, cp -a and git status take 4 to 8 times as long as natively",
		Probe:   accelerated,
	},
	{
		Name: "limit on file locks", Weight: Useful,
		Without: "no program can switch to a non-root user: setuid fails with EAGAIN",
		Probe:   unlimitedLocks,
	},
	{Name: "limits of containers", Weight: Informative, Probe: limits},
	{Name: "new system calls", Weight: Informative, Probe: newCalls},
	{Name: "io_uring", Weight: Informative, Probe: ioUring},
	{Name: "/etc/subuid", Weight: Informative, Probe: subordinateIDs},
}, engineChecks()...)
