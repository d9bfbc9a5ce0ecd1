package table

// Peer is another program that pretends to be root, and the system calls that
// it handles.
type Peer struct {
	Name  string
	Calls []string
}

// Peers lists what the two programs handle that rootless containers had before:
// every name must have a row.
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
}
