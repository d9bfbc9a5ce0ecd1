package sys

import "golang.org/x/sys/unix"

// fstatat is the number of fstatat(2): the architectures differ in its name.
const fstatat = unix.SYS_FSTATAT
