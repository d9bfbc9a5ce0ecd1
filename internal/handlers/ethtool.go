package handlers

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// ethtool handles ioctl(sockfd, SIOCETHTOOL, ifreq). Some of its commands are for everybody, and the
// others need CAP_NET_ADMIN.
//
// The list is in __dev_ethtool of net/ethtool/ioctl.c, which reads no more than the command before it
// decides, except for ETHTOOL_FLASHDEV. So the supervisor tries the command, with data that ends
// behind it: whatever is allowed then fails, or reads a value.
func (c *Call) ethtool() Result {
	if !c.lacksAnyCap(1 << unix.CAP_NET_ADMIN) {
		return Continue
	}
	pointer := 8
	if c.Data.Arch == unix.AUDIT_ARCH_I386 {
		pointer = 4
	}
	var ifreq [unix.IFNAMSIZ + 8]byte
	given := ifreq[:unix.IFNAMSIZ+pointer]
	if n, e := c.Target.Read(c.addr(2), given); e != 0 || n < len(given) {
		return Continue // EFAULT
	}
	var command [8]byte // and the second one of ETHTOOL_PERQUEUE
	n, e := c.Target.Read(uintptr(readUnsigned(given[unix.IFNAMSIZ:], pointer)), command[:])
	if e != 0 || n < 4 {
		return Continue // EFAULT
	}
	if binary.NativeEndian.Uint32(command[:]) == unix.ETHTOOL_FLASHDEV {
		binary.NativeEndian.PutUint32(command[:], unix.ETHTOOL_RESET) // which needs the capability, too
	}
	fd, e := c.Target.Dup(c.int32(0))
	if e != 0 {
		return unchecked(e)
	}
	defer unix.Close(fd)
	page := unix.Getpagesize()
	pages, err := unix.Mmap(-1, 0, 2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return Errno(unix.ENOMEM)
	}
	defer unix.Munmap(pages)
	if err := unix.Mprotect(pages[page:], unix.PROT_NONE); err != nil {
		return Errno(unix.ENOMEM)
	}
	data := pages[page-n : page]
	copy(data, command[:n])
	binary.NativeEndian.PutUint64(ifreq[unix.IFNAMSIZ:], uint64(uintptr(unsafe.Pointer(&data[0]))))
	e = c.asCaller(func() unix.Errno {
		return sys.Ioctl(fd, unix.SIOCETHTOOL, unsafe.Pointer(&ifreq))
	})
	if e == unix.EPERM {
		return Errno(e)
	}
	return Continue
}
