package syscalls

// nativeRows are the calls that peers handle, and for which the kernel's result is
// right here: every file really belongs to the mapped id, and the emulated owner is
// stored with the inode.
var nativeRows = []Row{
	{Name: "acct", Support: Native, Note: "fails with EPERM, as in any user namespace"},
	{Name: "close", Support: Native, Note: descriptorNote},
	{Name: "close_range", Support: Native, Note: descriptorNote},
	{Name: "dup", Support: Native, Note: descriptorNote},
	{Name: "dup2", Support: Native, Note: descriptorNote},
	{Name: "fdatasync", Support: Native, Note: syncNote},
	{Name: "fork", Support: Native, Note: forkNote},
	{Name: "fsync", Support: Native, Note: syncNote},
	{Name: "getcwd", Support: Native, Note: "paths are not emulated"},
	{Name: "msync", Support: Native, Note: "does not depend on the owner"},
	{Name: "sync", Support: Native, Note: syncNote},
	{Name: "sync_file_range", Support: Native, Note: syncNote},
	{Name: "syncfs", Support: Native, Note: syncNote},
	{Name: "umask", Support: Native, Note: "the supervisor reads it when it creates a file"},
	{Name: "vfork", Support: Native, Note: forkNote},
}

// firstCommon is the first system call number that means the same on all ABIs:
// pidfd_send_signal. The kernel gives new calls higher numbers only.
const firstCommon = 424

// commonRows are the calls from firstCommon on that need no answer. All calls from
// there on have a row, so that none slips in unreviewed with a new version of
// golang.org/x/sys: TestCallsAreReviewed.
var commonRows = []Row{
	{Name: "io_uring_enter", Support: Native, Note: "needs a ring, which `io_uring_setup` refuses"},
	{Name: "io_uring_register", Support: Native, Note: "needs a ring, which `io_uring_setup` refuses"},
	{Name: "pidfd_open", Support: Native, Note: "needs no permission; the calls that use the descriptor are checked"},
	{Name: "epoll_pwait2", Support: Native, Note: noCredentialsNote},
	{Name: "quotactl_fd", Support: Native, Note: "quotas count for the mapped id; changing them fails with EPERM, as in any user namespace"},
	{Name: "landlock_create_ruleset", Support: Native, Note: "`landlock_restrict_self` is checked"},
	{Name: "landlock_add_rule", Support: Native, Note: "`landlock_restrict_self` is checked"},
	{Name: "memfd_secret", Support: Native, Note: "the file cannot carry a record: it belongs to root"},
	{Name: "process_mrelease", Support: Native, Note: "frees the memory of a process that is being killed"},
	{Name: "futex_waitv", Support: Native, Note: noCredentialsNote},
	{Name: "set_mempolicy_home_node", Support: Native, Note: ownMemoryNote},
	{Name: "cachestat", Support: Native, Note: "shows for any descriptor which pages are cached, as for root"},
	{Name: "map_shadow_stack", Support: Native, Note: ownMemoryNote},
	{Name: "futex_wake", Support: Native, Note: noCredentialsNote},
	{Name: "futex_wait", Support: Native, Note: noCredentialsNote},
	{Name: "futex_requeue", Support: Native, Note: noCredentialsNote},
	{Name: "lsm_get_self_attr", Support: Native, Note: lsmNote},
	{Name: "lsm_set_self_attr", Support: Native, Note: lsmNote},
	{Name: "lsm_list_modules", Support: Native, Note: lsmNote},
	{Name: "mseal", Support: Native, Note: ownMemoryNote},
	{Name: "listns", Support: Native, Note: "shows namespaces, as for root"},
	{Name: "rseq_slice_yield", Support: Native, Note: noCredentialsNote},
}

const (
	descriptorNote    = "no state is kept by descriptor"
	syncNote          = "the record is stored in the inode and written with it"
	forkNote          = "the kernel copies the identity"
	noCredentialsNote = "does not depend on owners or identities"
	ownMemoryNote     = "changes the caller's own memory only"
	lsmNote           = "attributes of security modules are not emulated"
)
