package main

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// constants are the names that programs can use for numbers.
var constants = map[string]int64{
	"O_RDONLY": unix.O_RDONLY, "O_WRONLY": unix.O_WRONLY, "O_RDWR": unix.O_RDWR, "O_CREAT": unix.O_CREAT, "O_EXCL": unix.O_EXCL,
	"O_TRUNC": unix.O_TRUNC, "O_APPEND": unix.O_APPEND, "O_DIRECTORY": unix.O_DIRECTORY, "O_NOFOLLOW": unix.O_NOFOLLOW,
	"O_PATH": unix.O_PATH, "O_TMPFILE": unix.O_TMPFILE, "O_NOATIME": unix.O_NOATIME, "O_CLOEXEC": unix.O_CLOEXEC,
	"O_NONBLOCK": unix.O_NONBLOCK, "O_NOCTTY": unix.O_NOCTTY, "O_SYNC": unix.O_SYNC,

	"AT_FDCWD": unix.AT_FDCWD, "AT_SYMLINK_NOFOLLOW": unix.AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_FOLLOW": unix.AT_SYMLINK_FOLLOW,
	"AT_EMPTY_PATH": unix.AT_EMPTY_PATH, "AT_REMOVEDIR": unix.AT_REMOVEDIR, "AT_EACCESS": unix.AT_EACCESS, "AT_NO_AUTOMOUNT": unix.AT_NO_AUTOMOUNT,
	"AT_STATX_FORCE_SYNC": unix.AT_STATX_FORCE_SYNC,

	"F_OK": unix.F_OK, "R_OK": unix.R_OK, "W_OK": unix.W_OK, "X_OK": unix.X_OK,

	"S_IFREG": unix.S_IFREG, "S_IFIFO": unix.S_IFIFO, "S_IFSOCK": unix.S_IFSOCK, "S_IFCHR": unix.S_IFCHR, "S_IFBLK": unix.S_IFBLK, "S_IFDIR": unix.S_IFDIR,

	"RENAME_NOREPLACE": unix.RENAME_NOREPLACE, "RENAME_EXCHANGE": unix.RENAME_EXCHANGE, "RENAME_WHITEOUT": unix.RENAME_WHITEOUT,
	"XATTR_CREATE": unix.XATTR_CREATE, "XATTR_REPLACE": unix.XATTR_REPLACE,
	"RESOLVE_BENEATH": unix.RESOLVE_BENEATH, "RESOLVE_IN_ROOT": unix.RESOLVE_IN_ROOT, "RESOLVE_NO_SYMLINKS": unix.RESOLVE_NO_SYMLINKS,
	"RESOLVE_NO_MAGICLINKS": unix.RESOLVE_NO_MAGICLINKS, "RESOLVE_NO_XDEV": unix.RESOLVE_NO_XDEV,
	"STATX_BASIC_STATS": unix.STATX_BASIC_STATS, "STATX_MODE": unix.STATX_MODE, "STATX_UID": unix.STATX_UID,

	"PR_SET_KEEPCAPS": unix.PR_SET_KEEPCAPS, "PR_GET_KEEPCAPS": unix.PR_GET_KEEPCAPS, "PR_SET_NO_NEW_PRIVS": unix.PR_SET_NO_NEW_PRIVS,
	"PR_GET_NO_NEW_PRIVS": unix.PR_GET_NO_NEW_PRIVS, "PR_CAPBSET_DROP": unix.PR_CAPBSET_DROP, "PR_CAPBSET_READ": unix.PR_CAPBSET_READ,
	"PR_CAP_AMBIENT": unix.PR_CAP_AMBIENT, "PR_SET_SECUREBITS": unix.PR_SET_SECUREBITS, "PR_GET_SECUREBITS": unix.PR_GET_SECUREBITS,
	"PR_CAP_AMBIENT_RAISE": unix.PR_CAP_AMBIENT_RAISE, "PR_CAP_AMBIENT_LOWER": unix.PR_CAP_AMBIENT_LOWER,
	"PR_CAP_AMBIENT_IS_SET": unix.PR_CAP_AMBIENT_IS_SET, "PR_CAP_AMBIENT_CLEAR_ALL": unix.PR_CAP_AMBIENT_CLEAR_ALL,

	"CAP_CHOWN": unix.CAP_CHOWN, "CAP_DAC_OVERRIDE": unix.CAP_DAC_OVERRIDE, "CAP_DAC_READ_SEARCH": unix.CAP_DAC_READ_SEARCH,
	"CAP_FOWNER": unix.CAP_FOWNER, "CAP_FSETID": unix.CAP_FSETID, "CAP_KILL": unix.CAP_KILL, "CAP_SETGID": unix.CAP_SETGID,
	"CAP_SETUID": unix.CAP_SETUID, "CAP_SETPCAP": unix.CAP_SETPCAP, "CAP_SYS_CHROOT": unix.CAP_SYS_CHROOT, "CAP_MKNOD": unix.CAP_MKNOD,
	"CAP_SETFCAP": unix.CAP_SETFCAP, "CAP_SYS_ADMIN": unix.CAP_SYS_ADMIN, "CAP_IPC_OWNER": unix.CAP_IPC_OWNER,

	"SIGURG": int64(unix.SIGURG), "SIGWINCH": int64(unix.SIGWINCH), "SIGCONT": int64(unix.SIGCONT), "SIGUSR1": int64(unix.SIGUSR1),
	"AF_UNIX": unix.AF_UNIX, "SOCK_STREAM": unix.SOCK_STREAM, "SOCK_DGRAM": unix.SOCK_DGRAM, "SOCK_NONBLOCK": unix.SOCK_NONBLOCK,
	"IN_NONBLOCK": unix.IN_NONBLOCK, "IN_MODIFY": unix.IN_MODIFY, "IN_DONT_FOLLOW": unix.IN_DONT_FOLLOW, "IN_ONLYDIR": unix.IN_ONLYDIR,

	"IPC_CREAT": unix.IPC_CREAT, "IPC_EXCL": unix.IPC_EXCL, "IPC_RMID": unix.IPC_RMID, "IPC_SET": unix.IPC_SET, "IPC_STAT": unix.IPC_STAT,
	"SHM_RDONLY": unix.SHM_RDONLY, "SHM_RND": unix.SHM_RND, "SHM_REMAP": 0o40000, "SHM_EXEC": 0o100000,
	"GETVAL": 12, "GETALL": 13, "GETNCNT": 14, "GETZCNT": 15, "SETVAL": 16, "SETALL": 17,
	"MSG_NOERROR": 0o10000, "MSG_EXCEPT": 0o20000, "MSG_COPY": 0o40000,
	"FD_CLOEXEC": unix.FD_CLOEXEC, "F_DUPFD": unix.F_DUPFD, "F_GETFL": unix.F_GETFL, "F_SETFD": unix.F_SETFD, "F_GETFD": unix.F_GETFD,
}

// number parses names and numbers joined by |. Numbers are written as in C: 0644 is octal.
func number(word string) (int64, error) {
	var n int64
	for _, part := range strings.Split(word, "|") {
		value, ok := constants[part]
		if !ok {
			var err error
			if value, err = strconv.ParseInt(part, 0, 64); err != nil {
				return 0, fmt.Errorf("neither a number nor a constant: %s", part)
			}
		}
		n |= value
	}
	return n, nil
}
