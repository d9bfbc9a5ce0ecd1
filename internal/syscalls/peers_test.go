package syscalls

// Peer is another program that emulates root, and the system calls that it handles.
type Peer struct {
	Name  string
	Calls []string
}

// Peers lists the system calls that other programs handle. Each must have a row.
var Peers = []Peer{
	// rootless-containers/PRoot, src/extension/fake_id0/fake_id0.c, filtered_sysnums.
	{"PRoot", []string{
		"capset", "chmod", "chown", "chown32", "chroot", "execve", "fchmod", "fchmodat", "fchown", "fchown32",
		"fchownat", "fstat", "fstat64", "fstatat64", "getegid", "getegid32", "geteuid", "geteuid32", "getgid",
		"getgid32", "getgroups", "getgroups32", "getresgid", "getresgid32", "getresuid", "getresuid32", "getuid",
		"getuid32", "lchown", "lchown32", "lstat", "lstat64", "mknod", "mknodat", "newfstatat", "oldlstat", "oldstat",
		"setfsgid", "setfsgid32", "setfsuid", "setfsuid32", "setgid", "setgid32", "setgroups", "setgroups32",
		"setregid", "setregid32", "setreuid", "setreuid32", "setresgid", "setresgid32", "setresuid", "setresuid32",
		"setuid", "setuid32", "setxattr", "setdomainname", "sethostname", "lsetxattr", "fsetxattr", "stat", "stat64",
		"statfs", "statfs64",
	}},
	// cyphar/remainroot, src/ptrace/generic-shims.c.
	{"remainroot", []string{
		"setuid", "getuid", "setfsuid", "setreuid", "setresuid", "getresuid", "geteuid", "setgid", "getgid",
		"setfsgid", "setregid", "setresgid", "getresgid", "getegid", "setgroups", "getgroups",
	}},
	// The functions that libfakeroot 1.31 replaces (nm -D), as system calls.
	{"fakeroot", []string{
		"capset", "chmod", "chown", "close", "dup2", "fchmod", "fchmodat", "fchown", "fchownat", "fgetxattr", "flistxattr",
		"fork", "fremovexattr", "fsetxattr", "fstat", "fstat64", "fstatat64", "getegid", "geteuid", "getgid", "getgroups",
		"getresgid", "getresuid", "getuid", "getxattr", "lchown", "lgetxattr", "listxattr", "llistxattr", "lremovexattr",
		"lsetxattr", "lstat", "lstat64", "mkdir", "mkdirat", "mknod", "mknodat", "newfstatat", "removexattr", "rename",
		"renameat", "rmdir", "setfsgid", "setfsuid", "setgid", "setgroups", "setpriority", "setregid", "setresgid",
		"setresuid", "setreuid", "setuid", "setxattr", "stat", "stat64", "statx", "unlink", "unlinkat", "vfork",
	}},
	// The functions that libpseudo 1.9 replaces, as system calls, without those that
	// only call others (mkstemp, popen, realpath, getpwnam).
	{"pseudo", []string{
		"access", "acct", "bind", "capset", "chdir", "chmod", "chown", "chroot", "clone", "close", "close_range", "creat",
		"dup", "dup2", "execve", "faccessat", "faccessat2", "fchdir", "fchmod", "fchmodat", "fchown", "fchownat", "fcntl",
		"fcntl64", "fdatasync", "fgetxattr", "flistxattr", "fork", "fremovexattr", "fsetxattr", "fstat", "fstat64",
		"fstatat64", "fsync", "getcwd", "getegid", "geteuid", "getgid", "getgroups", "getresgid", "getresuid", "getuid",
		"getxattr", "lchown", "lgetxattr", "link", "linkat", "listxattr", "llistxattr", "lremovexattr", "lsetxattr",
		"lstat", "lstat64", "mkdir", "mkdirat", "mknod", "mknodat", "msync", "newfstatat", "open", "openat", "prctl",
		"readlink", "readlinkat", "removexattr", "rename", "renameat", "renameat2", "rmdir", "setfsgid", "setfsuid",
		"setgid", "setgroups", "setregid", "setresgid", "setresuid", "setreuid", "setuid", "setxattr", "stat", "stat64",
		"statfs", "statfs64", "statx", "symlink", "symlinkat", "sync", "sync_file_range", "syncfs", "truncate",
		"truncate64", "umask", "unlink", "unlinkat", "utime", "utimensat", "utimes", "vfork",
	}},
}
