package main

import "golang.org/x/sys/unix"

// statLayout are the offsets in struct stat.
var statLayout = struct{ mode, nlink, uid, gid, rdev, size int }{mode: 24, nlink: 16, uid: 28, gid: 32, rdev: 40, size: 48}

// legacyCalls exist on older architectures only.
var legacyCalls = []call{
	{name: "open", number: unix.SYS_OPEN, params: []param{path, openFlags, mode}, fd: true},
	{name: "creat", number: unix.SYS_CREAT, params: []param{path, mode}, fd: true},
	{name: "mkdir", number: unix.SYS_MKDIR, params: []param{newPath, mode}},
	{name: "rmdir", number: unix.SYS_RMDIR, params: []param{directoryPath}},
	{name: "unlink", number: unix.SYS_UNLINK, params: []param{path}},
	{name: "rename", number: unix.SYS_RENAME, params: []param{path, newPath}},
	{name: "link", number: unix.SYS_LINK, params: []param{path, newPath}, feature: "hardlinks"},
	{name: "symlink", number: unix.SYS_SYMLINK, params: []param{target, newPath}},
	{name: "mknod", number: unix.SYS_MKNOD, params: []param{newPath, node, device}},
	{name: "chmod", number: unix.SYS_CHMOD, params: []param{path, mode}},
	{name: "chown", number: unix.SYS_CHOWN, params: []param{path, id, id}},
	{name: "lchown", number: unix.SYS_LCHOWN, params: []param{path, id, id}},
	{name: "stat", number: unix.SYS_STAT, params: []param{path, statOut}},
	{name: "lstat", number: unix.SYS_LSTAT, params: []param{path, statOut}},
	{name: "access", number: unix.SYS_ACCESS, params: []param{path, accessMode}},
	{name: "readlink", number: unix.SYS_READLINK, params: []param{path, bytesOut}},
}

// semNsems is the offset of sem_nsems in struct semid64_ds.
const semNsems = 80

const sysNewfstatat = unix.SYS_NEWFSTATAT
