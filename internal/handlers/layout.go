package handlers

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Layout encodes a stat structure for an ABI, and returns its size. The error is EOVERFLOW
// if a value does not fit in the structure.
type Layout func(*unix.Stat_t, *[statSize]byte) (int, unix.Errno)

// statSize is the size of the largest stat structure.
const statSize = unsafe.Sizeof(unix.Stat_t{})

// overflowID replaces an id that does not fit in 16 bits (/proc/sys/fs/overflowuid).
const overflowID = 65534

var le = binary.LittleEndian

// LayoutNative is struct stat of the machine's own ABI.
func LayoutNative(st *unix.Stat_t, b *[statSize]byte) (int, unix.Errno) {
	*b = *(*[statSize]byte)(unsafe.Pointer(st))
	return int(statSize), 0
}

// LayoutI386Stat64 is struct stat64 of i386, which is packed. glibc and musl use it.
func LayoutI386Stat64(st *unix.Stat_t, b *[statSize]byte) (int, unix.Errno) {
	le.PutUint64(b[0:], oldDev(st.Dev))
	le.PutUint32(b[12:], uint32(st.Ino)) // __st_ino
	le.PutUint32(b[16:], uint32(st.Mode))
	le.PutUint32(b[20:], uint32(st.Nlink))
	le.PutUint32(b[24:], st.Uid)
	le.PutUint32(b[28:], st.Gid)
	le.PutUint64(b[32:], oldDev(st.Rdev))
	le.PutUint64(b[44:], uint64(st.Size))
	le.PutUint32(b[52:], uint32(st.Blksize))
	le.PutUint64(b[56:], uint64(st.Blocks))
	putTimes(b[64:], st)
	le.PutUint64(b[88:], st.Ino)
	return 96, 0
}

// LayoutI386 is struct stat of i386, with 16-bit ids.
func LayoutI386(st *unix.Stat_t, b *[statSize]byte) (int, unix.Errno) {
	if !fits32(st) || st.Nlink > 0xffff {
		return 0, unix.EOVERFLOW
	}
	le.PutUint32(b[0:], uint32(oldDev(st.Dev)))
	le.PutUint32(b[4:], uint32(st.Ino))
	le.PutUint16(b[8:], uint16(st.Mode))
	le.PutUint16(b[10:], uint16(st.Nlink))
	le.PutUint16(b[12:], narrow(st.Uid))
	le.PutUint16(b[14:], narrow(st.Gid))
	le.PutUint32(b[16:], uint32(oldDev(st.Rdev)))
	le.PutUint32(b[20:], uint32(st.Size))
	le.PutUint32(b[24:], uint32(st.Blksize))
	le.PutUint32(b[28:], uint32(st.Blocks))
	putTimes(b[32:], st)
	return 64, 0
}

// LayoutI386Old is struct __old_kernel_stat of i386.
func LayoutI386Old(st *unix.Stat_t, b *[statSize]byte) (int, unix.Errno) {
	if st.Ino > 0xffff || st.Nlink > 0xffff {
		return 0, unix.EOVERFLOW
	}
	le.PutUint16(b[0:], oldDev16(st.Dev))
	le.PutUint16(b[2:], uint16(st.Ino))
	le.PutUint16(b[4:], uint16(st.Mode))
	le.PutUint16(b[6:], uint16(st.Nlink))
	le.PutUint16(b[8:], narrow(st.Uid))
	le.PutUint16(b[10:], narrow(st.Gid))
	le.PutUint16(b[12:], oldDev16(st.Rdev))
	le.PutUint32(b[16:], uint32(st.Size))
	le.PutUint32(b[20:], uint32(st.Atim.Sec))
	le.PutUint32(b[24:], uint32(st.Mtim.Sec))
	le.PutUint32(b[28:], uint32(st.Ctim.Sec))
	return 32, 0
}

// fits32 reports whether the kernel would show the file to a 32-bit program.
func fits32(st *unix.Stat_t) bool { return st.Size <= 0x7fffffff && st.Ino <= 0xffffffff }

// oldDev encodes a device number as the 32-bit structures do (new_encode_dev).
func oldDev(dev uint64) uint64 {
	major, minor := unix.Major(dev), unix.Minor(dev)
	return uint64(minor&0xff | major<<8 | minor&^0xff<<12)
}

// oldDev16 is old_encode_dev.
func oldDev16(dev uint64) uint16 { return uint16(unix.Major(dev)<<8 | unix.Minor(dev)) }

func narrow(id uint32) uint16 {
	if id > 0xffff {
		return overflowID
	}
	return uint16(id)
}

// putTimes writes atime, mtime and ctime as pairs of 32-bit seconds and nanoseconds.
func putTimes(b []byte, st *unix.Stat_t) {
	for i, t := range [...]unix.Timespec{st.Atim, st.Mtim, st.Ctim} {
		le.PutUint32(b[8*i:], uint32(t.Sec))
		le.PutUint32(b[8*i+4:], uint32(t.Nsec))
	}
}
