package syscalls

// nativeRows are the calls that the peers handle and the kernel does right by
// itself: the one real owner of every file is the container's root, and the rest
// is recorded with the inode.
var nativeRows = []Row{
	{Name: "acct", Support: Native, Note: "refused by the kernel, as in any user namespace"},
	{Name: "close", Support: Native, Note: "nothing is kept by descriptor"},
	{Name: "close_range", Support: Native, Note: "nothing is kept by descriptor"},
	{Name: "dup", Support: Native, Note: "nothing is kept by descriptor"},
	{Name: "dup2", Support: Native, Note: "nothing is kept by descriptor"},
	{Name: "fdatasync", Support: Native, Note: "records are in the inode, and written with it"},
	{Name: "fork", Support: Native, Note: "the kernel copies the identity"},
	{Name: "fsync", Support: Native, Note: "records are in the inode, and written with it"},
	{Name: "getcwd", Support: Native, Note: "paths are the kernel's own"},
	{Name: "msync", Support: Native, Note: "no owner in it"},
	{Name: "sync", Support: Native, Note: "records are in the inode, and written with it"},
	{Name: "sync_file_range", Support: Native, Note: "records are in the inode, and written with it"},
	{Name: "syncfs", Support: Native, Note: "records are in the inode, and written with it"},
	{Name: "umask", Support: Native, Note: "the kernel's own; read where the supervisor makes a file"},
	{Name: "vfork", Support: Native, Note: "the kernel copies the identity"},
}
