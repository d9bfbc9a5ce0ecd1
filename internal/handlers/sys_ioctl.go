package handlers

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// Commands of ioctl(2), from <linux/fs.h>.
const (
	fsIOC32SetFlags   = 0x40046602 // FS_IOC32_SETFLAGS
	fsIOCFSSetXattr   = 0x401c5820 // FS_IOC_FSSETXATTR
	fsIOCGetVersion   = 0x80087601 // FS_IOC_GETVERSION
	fsIOCSetVersion   = 0x40087602 // FS_IOC_SETVERSION
	fsIOC32SetVersion = 0x40047602 // FS_IOC32_SETVERSION
)

// Ioctl handles ioctl(fd, cmd, argp).
func Ioctl(c *Call) Result {
	switch cmd := c.uint32(1); {
	case !c.Identities.InUse():
	case cmd == unix.FS_IOC_SETFLAGS, cmd == fsIOC32SetFlags, cmd == fsIOCFSSetXattr:
		return c.changeInodeFlags(unix.FS_IOC_GETFLAGS)
	case cmd == fsIOCSetVersion, cmd == fsIOC32SetVersion:
		return c.changeInodeFlags(fsIOCGetVersion)
	case cmd>>8&0xff == pidfdCommands:
		return c.pidfdIoctl(cmd)
	case isNetConfig(cmd):
		return c.configureNet()
	case cmd == unix.SIOCETHTOOL:
		return c.ethtool()
	case cmd == unix.TUNSETIFF:
		return c.attachTUN()
	case cmd == unix.NS_GET_OWNER_UID && c.Identities.NamespacesInUse():
		return c.namespaceOwnerUID()
	}
	return Continue
}

// changeInodeFlags handles a command that changes flags of an inode. If the inode does not
// support them, the command get fails, too.
//
// FS_IOC_SETFLAGS(2const): "In order to change the inode flags of a file using the
// FS_IOC_SETFLAGS operation, the effective user ID of the caller must match the owner of
// the file, or the caller must have the CAP_FOWNER capability."
func (c *Call) changeInodeFlags(get uint32) Result {
	i, e := c.openFD(c.int32(0))
	if e != 0 {
		return Continue // EBADF
	}
	defer c.close(i)
	if perm.Owner(c.identity().Credentials, c.visible(i)) {
		if c.uint32(1) == fsIOCFSSetXattr {
			return c.changeFileAttr(i, c.setFSXattr)
		}
		return Continue
	}
	if get != fsIOCGetVersion && c.badPointer(2) {
		return Continue // EFAULT
	}
	if dup, e := c.Target.Dup(c.int32(0)); e == 0 {
		var value uint64
		e := sys.Ioctl(dup, get, unsafe.Pointer(&value))
		unix.Close(dup)
		if e != 0 {
			return Continue // ENOTTY
		}
	}
	return deny(i, unix.EPERM)
}

// setFSXattr makes the caller's call ioctl(fd, FS_IOC_FSSETXATTR, argp).
func (c *Call) setFSXattr() unix.Errno {
	var argument [28]byte // struct fsxattr of <linux/fs.h>
	n, e := c.Target.Read(c.addr(2), argument[:])
	if e != 0 || n < len(argument) {
		return unix.EFAULT
	}
	fd, e := c.Target.Dup(c.int32(0))
	if e != 0 {
		return e
	}
	defer unix.Close(fd)
	return sys.Ioctl(fd, fsIOCFSSetXattr, unsafe.Pointer(&argument))
}

// attachTUN handles ioctl(fd, TUNSETIFF, ifreq), which creates an interface or attaches to an
// existing one.
//
// The kernel requires CAP_NET_ADMIN for both, except from the owner of a persistent interface
// (tun_not_capable in drivers/net/tun.c), which can only be the mapped id here.
func (c *Call) attachTUN() Result {
	if !c.lacksCap(unix.CAP_NET_ADMIN) || c.badPointer(2) {
		return Continue // perhaps EFAULT
	}
	i, e := c.openFD(c.int32(0))
	if e != 0 {
		return Continue // EBADF
	}
	defer c.close(i)
	if i.kind() != unix.S_IFCHR || i.stat.Rdev != devTUN {
		return Continue // ENOTTY
	}
	return Errno(unix.EPERM)
}

// isNetConfig reports whether an ioctl command configures interfaces, routes or the ARP
// cache, and needs CAP_NET_ADMIN according to netdevice(7) and <linux/sockios.h>, or has
// such commands among others, like SIOCSIFVLAN.
func isNetConfig(cmd uint32) bool {
	switch cmd {
	case unix.SIOCADDRT, unix.SIOCDELRT, unix.SIOCSIFFLAGS, unix.SIOCSIFADDR, unix.SIOCSIFDSTADDR, unix.SIOCSIFBRDADDR,
		unix.SIOCSIFNETMASK, unix.SIOCSIFMETRIC, unix.SIOCSIFMTU, unix.SIOCSIFNAME, unix.SIOCSIFHWADDR, unix.SIOCSIFSLAVE,
		unix.SIOCADDMULTI, unix.SIOCDELMULTI, unix.SIOCSIFPFLAGS, unix.SIOCDIFADDR, unix.SIOCSIFHWBROADCAST,
		unix.SIOCDARP, unix.SIOCSARP, unix.SIOCSIFMAP, unix.SIOCBRADDBR, unix.SIOCBRDELBR,
		unix.SIOCBRADDIF, unix.SIOCBRDELIF, unix.SIOCGMIIPHY, unix.SIOCGMIIREG, unix.SIOCSMIIREG, unix.SIOCSHWTSTAMP,
		unix.SIOCBONDENSLAVE, unix.SIOCBONDRELEASE, unix.SIOCBONDSETHWADDR, unix.SIOCBONDCHANGEACTIVE, unix.SIOCSIFVLAN:
		return true
	}
	return false
}

// unmappedAddress is an address in the first page, which no process has mapped.
const unmappedAddress = 1

// configureNet handles ioctl(sockfd, cmd, argp) for such a command.
func (c *Call) configureNet() Result {
	if !c.lacksAnyCap(1 << unix.CAP_NET_ADMIN) {
		return Continue
	}
	fd, e := c.Target.Dup(c.int32(0))
	if e != 0 {
		return unchecked(e)
	}
	defer unix.Close(fd)
	// The largest structure is struct rtentry. The kernel follows the pointers in it only
	// after it has checked the capability.
	var b [128]byte
	n, e := c.Target.Read(c.addr(2), b[:])
	readable := e == 0 && n > 0
	e = c.asCaller(func() (e unix.Errno) {
		if readable {
			e = sys.Ioctl(fd, c.uint32(1), unsafe.Pointer(&b))
		} else { // EFAULT, unless the capability is missing
			_, e = sys.IoctlInt(fd, c.uint32(1), unmappedAddress)
		}
		return e
	})
	if e == unix.EPERM {
		return Errno(e)
	}
	return Continue
}
