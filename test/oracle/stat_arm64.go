package main

import "golang.org/x/sys/unix"

// statLayout are the offsets in struct stat.
var statLayout = struct{ mode, nlink, uid, gid, rdev, size int }{mode: 16, nlink: 20, uid: 24, gid: 28, rdev: 32, size: 48}

// legacyCalls exist on older architectures only.
var legacyCalls []call

// semNsems is the offset of sem_nsems in struct semid64_ds.
const semNsems = 64

const sysNewfstatat = unix.SYS_FSTATAT
