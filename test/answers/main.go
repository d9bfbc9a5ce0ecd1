// Answers is a FUSE file system whose answers about extended attributes the tests choose.
//
//	answers MOUNTPOINT DIR
//
// It shows the files of DIR. Below a directory SET-GET of its root, such as EPERM-ENODATA,
// setting or removing an attribute fails with SET, and reading or listing attributes with GET.
// OK stands for the answer of DIR's file system; DROP for success without any effect. It ends when MOUNTPOINT is unmounted.
//
// ENOSYS is not among the errors: the kernel's FUSE makes EOPNOTSUPP of it.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

var errnos = map[string]syscall.Errno{
	"OK": 0, "E2BIG": syscall.E2BIG, "EACCES": syscall.EACCES, "EDQUOT": syscall.EDQUOT, "EINVAL": syscall.EINVAL, "EIO": syscall.EIO,
	"ENODATA": syscall.ENODATA, "ENOSPC": syscall.ENOSPC, "ENOTSUP": syscall.ENOTSUP, "EPERM": syscall.EPERM, "EROFS": syscall.EROFS, "ESTALE": syscall.ESTALE,
}

type node struct{ *fs.LoopbackNode }

// WrapChild makes a node of each child, too.
func (n *node) WrapChild(_ context.Context, child fs.InodeEmbedder) fs.InodeEmbedder {
	return &node{child.(*fs.LoopbackNode)}
}

// answers returns the errors with which calls on attributes of the node fail.
func (n *node) answers() (set, get syscall.Errno) {
	top, _, _ := strings.Cut(n.Path(n.Root()), "/")
	nameSet, nameGet, _ := strings.Cut(top, "-")
	return errnos[nameSet], errnos[nameGet]
}

// drops reports whether setting an attribute of the node has no effect.
func (n *node) drops() bool { return strings.HasPrefix(n.Path(n.Root()), "DROP-") }

func (n *node) Setxattr(ctx context.Context, attr string, data []byte, flags uint32) syscall.Errno {
	if set, _ := n.answers(); set != 0 || n.drops() {
		return set
	}
	return n.LoopbackNode.Setxattr(ctx, attr, data, flags)
}

func (n *node) Removexattr(ctx context.Context, attr string) syscall.Errno {
	if set, _ := n.answers(); set != 0 {
		return set
	}
	return n.LoopbackNode.Removexattr(ctx, attr)
}

func (n *node) Getxattr(ctx context.Context, attr string, dest []byte) (uint32, syscall.Errno) {
	if _, get := n.answers(); get != 0 {
		return 0, get
	}
	return n.LoopbackNode.Getxattr(ctx, attr, dest)
}

func (n *node) Listxattr(ctx context.Context, dest []byte) (uint32, syscall.Errno) {
	switch _, get := n.answers(); get {
	case 0:
		return n.LoopbackNode.Listxattr(ctx, dest)
	case syscall.ENODATA: // an empty list
		return 0, 0
	default:
		return 0, get
	}
}

// Statx leaves the answer to Getattr: that of LoopbackNode follows symbolic links.
func (n *node) Statx(context.Context, fs.FileHandle, uint32, uint32, *fuse.StatxOut) syscall.Errno {
	return syscall.ENOSYS
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: answers MOUNTPOINT DIR")
	}
	loopback, err := fs.NewLoopbackRoot(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	server, err := fs.Mount(os.Args[1], &node{loopback.(*fs.LoopbackNode)}, &fs.Options{MountOptions: fuse.MountOptions{
		AllowOther: true, DirectMountStrict: true, DirectMountFlags: syscall.MS_NOSUID | syscall.MS_NODEV,
		FsName: "answers", Options: []string{"default_permissions"},
	}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("mounted")
	if err := os.Stdout.Close(); err != nil { // whoever waits for the line waits no longer
		log.Fatal(err)
	}
	server.Wait()
}
