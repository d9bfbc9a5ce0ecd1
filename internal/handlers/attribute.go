package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Extended attributes of what our own descriptors, which may be O_PATH ones, refer
// to. Names are NUL-terminated.

func getAttribute(fd int, name *byte, value []byte) (int, unix.Errno) {
	var p sys.FDPath
	return sys.Getxattr(p.Of(fd), true, name, value)
}

func setAttribute(fd int, name *byte, value []byte, flags uint32) unix.Errno {
	var p sys.FDPath
	return sys.Setxattr(p.Of(fd), name, value, flags)
}

func removeAttribute(fd int, name *byte) unix.Errno {
	var p sys.FDPath
	return sys.Removexattr(p.Of(fd), true, name)
}
