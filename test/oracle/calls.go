package main

import (
	"slices"

	"golang.org/x/sys/unix"
)

// call is a system call that programs can make.
type call struct {
	name    string
	number  int
	params  []param
	fd      bool   // returns a descriptor
	returns int    // aNumber, anObject or anAddress
	feature string // that -without can exclude
	weight  int    // relative frequency; 0 means 10, -1 never
}

// Numbers that are not system calls (shared.h).
const (
	numberFork   = 100000
	numberThread = 100001
	numberMap    = 100002
	numberEnter  = 100003
)

// features are the names that -without accepts. Calls and arguments belong to them.
var features = []string{"identities", "actors", "threads", "exec", "chroot", "special", "devices", "sockets", "acl", "filecaps", "attributes",
	"pointers", "proc", "nonewprivs", "signals", "long", "sizes", "inotify", "hardlinks", "lower", "ipc", "namespaces"}

var calls = slices.Concat([]call{
	{name: "fork", number: numberFork, params: []param{actor}, feature: "actors", weight: 20},
	{name: "thread", number: numberThread, params: []param{actor}, feature: "threads", weight: 6},

	{name: "unshare", number: unix.SYS_UNSHARE, params: []param{namespaces}, feature: "namespaces", weight: 4},
	{name: "map", number: numberMap, params: []param{process, mapFile, mapText, mapOut}, feature: "namespaces", weight: 6},
	{name: "enter", number: numberEnter, params: []param{process}, feature: "namespaces", weight: 3},

	{name: "openat", number: unix.SYS_OPENAT, params: []param{dirfd, path, openFlags, mode}, fd: true, weight: 50},
	{name: "openat2", number: unix.SYS_OPENAT2, params: []param{dirfd, path, how}, fd: true},
	{name: "close", number: unix.SYS_CLOSE, params: []param{fd}, weight: 6},
	{name: "dup", number: unix.SYS_DUP, params: []param{fd}, fd: true, weight: 3},
	{name: "read", number: unix.SYS_READ, params: []param{fd, bytesOut}},
	{name: "write", number: unix.SYS_WRITE, params: []param{fd, content}},
	{name: "getdents64", number: unix.SYS_GETDENTS64, params: []param{directoryFD, dirOut}},
	{name: "truncate", number: unix.SYS_TRUNCATE, params: []param{path, length}},
	{name: "ftruncate", number: unix.SYS_FTRUNCATE, params: []param{fd, length}},

	{name: "mkdirat", number: unix.SYS_MKDIRAT, params: []param{dirfd, newPath, mode}, weight: 15},
	{name: "unlinkat", number: unix.SYS_UNLINKAT, params: []param{dirfd, path, removeFlags}, weight: 15},
	{name: "renameat2", number: unix.SYS_RENAMEAT2, params: []param{dirfd, path, dirfd, newPath, renameFlags}, weight: 25},
	{name: "linkat", number: unix.SYS_LINKAT, params: []param{dirfd, path, dirfd, newPath, linkFlags}, feature: "hardlinks", weight: 15},
	{name: "symlinkat", number: unix.SYS_SYMLINKAT, params: []param{target, dirfd, newPath}},
	{name: "mknodat", number: unix.SYS_MKNODAT, params: []param{dirfd, newPath, node, device}},

	{name: "fchmod", number: unix.SYS_FCHMOD, params: []param{fd, mode}},
	{name: "fchmodat", number: unix.SYS_FCHMODAT, params: []param{dirfd, path, mode}, weight: 20},
	{name: "fchmodat2", number: unix.SYS_FCHMODAT2, params: []param{dirfd, path, mode, nofollowFlags}},
	{name: "fchown", number: unix.SYS_FCHOWN, params: []param{fd, id, id}},
	{name: "fchownat", number: unix.SYS_FCHOWNAT, params: []param{dirfd, path, id, id, nofollowFlags}, weight: 25},
	{name: "utimensat", number: unix.SYS_UTIMENSAT, params: []param{dirfd, path, times, nofollowFlags}},
	{name: "futimens", number: unix.SYS_UTIMENSAT, params: []param{fd, null, times}},
	{name: "umask", number: unix.SYS_UMASK, params: []param{umask}, weight: 5},

	{name: "newfstatat", number: sysNewfstatat, params: []param{dirfd, path, statOut, nofollowFlags}, weight: 15},
	{name: "fstat", number: unix.SYS_FSTAT, params: []param{fd, statOut}},
	{name: "statx", number: unix.SYS_STATX, params: []param{dirfd, path, nofollowFlags, statxMask, statxOut}},
	{name: "faccessat", number: unix.SYS_FACCESSAT, params: []param{dirfd, path, accessMode}},
	{name: "faccessat2", number: unix.SYS_FACCESSAT2, params: []param{dirfd, path, accessMode, accessFlags}, weight: 15},
	{name: "readlinkat", number: unix.SYS_READLINKAT, params: []param{dirfd, path, bytesOut}},
	{name: "statfs", number: unix.SYS_STATFS, params: []param{path, statfsOut}, weight: 3},
	{name: "fstatfs", number: unix.SYS_FSTATFS, params: []param{fd, statfsOut}, weight: 2},
	{name: "name_to_handle_at", number: unix.SYS_NAME_TO_HANDLE_AT, params: []param{dirfd, path, handle, linkFlags}, weight: 3},
	{name: "file_getattr", number: unix.SYS_FILE_GETATTR, params: []param{dirfd, path, bytesOut, nofollowFlags}, weight: 4},
	{name: "file_setattr", number: unix.SYS_FILE_SETATTR, params: []param{dirfd, path, fileAttr, nofollowFlags}, weight: 4},
	{name: "ioctl", number: unix.SYS_IOCTL, params: []param{fd, inodeCommand, inodeFlags}, weight: 4},
	{name: "getcwd", number: unix.SYS_GETCWD, params: []param{bytesOut}, weight: 3},

	{name: "chdir", number: unix.SYS_CHDIR, params: []param{directoryPath}, weight: 6},
	{name: "fchdir", number: unix.SYS_FCHDIR, params: []param{directoryFD}, weight: 4},
	{name: "chroot", number: unix.SYS_CHROOT, params: []param{directoryPath}, feature: "chroot", weight: 2},

	{name: "setxattr", number: unix.SYS_SETXATTR, params: []param{path, attribute, val, xattrFlags}, feature: "attributes"},
	{name: "lsetxattr", number: unix.SYS_LSETXATTR, params: []param{path, attribute, val, xattrFlags}, feature: "attributes", weight: 3},
	{name: "fsetxattr", number: unix.SYS_FSETXATTR, params: []param{fd, attribute, val, xattrFlags}, feature: "attributes", weight: 4},
	{name: "getxattr", number: unix.SYS_GETXATTR, params: []param{path, attribute, bytesOut}, feature: "attributes", weight: 6},
	{name: "lgetxattr", number: unix.SYS_LGETXATTR, params: []param{path, attribute, bytesOut}, feature: "attributes", weight: 3},
	{name: "fgetxattr", number: unix.SYS_FGETXATTR, params: []param{fd, attribute, bytesOut}, feature: "attributes", weight: 3},
	{name: "listxattr", number: unix.SYS_LISTXATTR, params: []param{path, namesOut}, feature: "attributes", weight: 4},
	{name: "llistxattr", number: unix.SYS_LLISTXATTR, params: []param{path, namesOut}, feature: "attributes", weight: 3},
	{name: "flistxattr", number: unix.SYS_FLISTXATTR, params: []param{fd, namesOut}, feature: "attributes", weight: 3},
	{name: "removexattr", number: unix.SYS_REMOVEXATTR, params: []param{path, attribute}, feature: "attributes", weight: 4},
	{name: "lremovexattr", number: unix.SYS_LREMOVEXATTR, params: []param{path, attribute}, feature: "attributes", weight: 2},
	{name: "fremovexattr", number: unix.SYS_FREMOVEXATTR, params: []param{fd, attribute}, feature: "attributes", weight: 2},

	{name: "setuid", number: unix.SYS_SETUID, params: []param{id}, feature: "identities", weight: 6},
	{name: "setgid", number: unix.SYS_SETGID, params: []param{id}, feature: "identities", weight: 6},
	{name: "setreuid", number: unix.SYS_SETREUID, params: []param{id, id}, feature: "identities", weight: 6},
	{name: "setregid", number: unix.SYS_SETREGID, params: []param{id, id}, feature: "identities", weight: 6},
	{name: "setresuid", number: unix.SYS_SETRESUID, params: []param{id, id, id}, feature: "identities", weight: 12},
	{name: "setresgid", number: unix.SYS_SETRESGID, params: []param{id, id, id}, feature: "identities", weight: 12},
	{name: "setfsuid", number: unix.SYS_SETFSUID, params: []param{id}, feature: "identities", weight: 6},
	{name: "setfsgid", number: unix.SYS_SETFSGID, params: []param{id}, feature: "identities", weight: 6},
	{name: "setgroups", number: unix.SYS_SETGROUPS, params: []param{groups}, feature: "identities", weight: 6},
	{name: "getuid", number: unix.SYS_GETUID, weight: 2},
	{name: "geteuid", number: unix.SYS_GETEUID, weight: 2},
	{name: "getgid", number: unix.SYS_GETGID, weight: 2},
	{name: "getegid", number: unix.SYS_GETEGID, weight: 2},
	{name: "getresuid", number: unix.SYS_GETRESUID, params: []param{idOut, idOut, idOut}, weight: 4},
	{name: "getresgid", number: unix.SYS_GETRESGID, params: []param{idOut, idOut, idOut}, weight: 4},
	{name: "getgroups", number: unix.SYS_GETGROUPS, params: []param{groupsOut}, weight: 4},
	{name: "capget", number: unix.SYS_CAPGET, params: []param{capsOut}, weight: 4},
	{name: "capset", number: unix.SYS_CAPSET, params: []param{caps}, feature: "identities", weight: 6},

	{name: "prctl", number: unix.SYS_PRCTL, params: []param{num, num, num, num, num}, feature: "identities", weight: 10},

	{name: "execve", number: unix.SYS_EXECVE, params: []param{programPath, argv, argv}, feature: "exec", weight: 6},
	{name: "execveat", number: unix.SYS_EXECVEAT, params: []param{dirfd, programPath, argv, argv, execFlags}, feature: "exec", weight: 6},

	{name: "kill", number: unix.SYS_KILL, params: []param{process, signalNumber}, feature: "signals", weight: 4},
	{name: "tgkill", number: unix.SYS_TGKILL, params: []param{process, task, signalNumber}, feature: "signals", weight: 3},

	{name: "socket", number: unix.SYS_SOCKET, params: []param{unixFamily, socketType, zero}, fd: true, feature: "sockets", weight: 3},
	{name: "bind", number: unix.SYS_BIND, params: []param{socket, sockaddr}, feature: "sockets", weight: 4},
	{name: "connect", number: unix.SYS_CONNECT, params: []param{socket, sockaddr}, feature: "sockets", weight: 4},
	{name: "setsockopt", number: unix.SYS_SETSOCKOPT, params: []param{socket, socketLevel, socketOption, optionValue}, feature: "sockets"},
	{name: "listen", number: unix.SYS_LISTEN, params: []param{socket, one}, feature: "sockets", weight: 3},

	{name: "inotify_init1", number: unix.SYS_INOTIFY_INIT1, params: []param{inotifyFlags}, fd: true, feature: "inotify", weight: -1},
	{name: "inotify_add_watch", number: unix.SYS_INOTIFY_ADD_WATCH, params: []param{watch, path, inotifyMask}, feature: "inotify"},
}, ipcCalls, legacyCalls)

// callNamed maps names to calls.
var callNamed = func() map[string]*call {
	m := make(map[string]*call)
	for i := range calls {
		m[calls[i].name] = &calls[i]
	}
	return m
}()
