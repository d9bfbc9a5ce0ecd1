package main

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// status is what the checker compares of a status.
type status struct {
	mode, uid, gid uint32
	links, rdev    uint64
	size           int64
}

// lstat reads the status of a name in one of several ways.
func lstat(name string, way int) (s status, err error) {
	var st unix.Stat_t
	switch way {
	case 0:
		err = unix.Lstat(name, &st)
	case 1:
		err = unix.Fstatat(unix.AT_FDCWD, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	case 2:
		fd, e := unix.Open(name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if e != nil {
			return status{}, e
		}
		defer unix.Close(fd)
		err = unix.Fstat(fd, &st)
	default:
		var sx unix.Statx_t
		err = unix.Statx(unix.AT_FDCWD, name, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &sx)
		return status{uint32(sx.Mode), sx.Uid, sx.Gid, uint64(sx.Nlink), unix.Mkdev(sx.Rdev_major, sx.Rdev_minor), int64(sx.Size)}, err
	}
	return status{st.Mode, st.Uid, st.Gid, uint64(st.Nlink), st.Rdev, st.Size}, err
}

// ways is the number of ways in which lstat reads a status.
const ways = 4

// fileType returns the type bits of io/fs for a type of stat(2).
func fileType(kind uint32) fs.FileMode {
	switch kind {
	case unix.S_IFDIR:
		return fs.ModeDir
	case unix.S_IFLNK:
		return fs.ModeSymlink
	case unix.S_IFIFO:
		return fs.ModeNamedPipe
	case unix.S_IFCHR:
		return fs.ModeDevice | fs.ModeCharDevice
	case unix.S_IFBLK:
		return fs.ModeDevice
	}
	return 0
}
