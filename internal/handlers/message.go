package handlers

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// message is a struct msghdr of the caller: see recvmsg(2) and <linux/socket.h>.
type message struct {
	long     int     // the size of the caller's type long: 8, or 4 on i386
	at       uintptr // the address of the structure
	name     uintptr // msg_name
	nameSize uint32
	iov      uintptr
	iovs     uint64
	control  uintptr
	room     uint64 // msg_controllen
}

// Offsets in struct msghdr, for the sizes 8 and 4 of long.
func (m *message) offset(long8, long4 uintptr) uintptr {
	if m.long == 4 {
		return m.at + long4
	}
	return m.at + long8
}

func (m *message) nameSizeAt() uintptr { return m.offset(8, 4) }
func (m *message) roomAt() uintptr     { return m.offset(40, 20) }
func (m *message) flagsAt() uintptr    { return m.offset(48, 24) }

// lengthAt is the address of msg_len in struct mmsghdr, whose first member is m.
func (m *message) lengthAt() uintptr { return m.offset(56, 28) }

// next returns the address of the following struct mmsghdr in an array.
func (m *message) next() uintptr { return m.offset(64, 32) }

// readMessage reads the struct msghdr at addr into m. Ok is false if that fails.
func (c *Call) readMessage(m *message, addr uintptr, long int) (ok bool) {
	var raw [48]byte
	b := raw[:6*long] // without msg_flags
	if n, e := c.Target.Read(addr, b); e != 0 || n < len(b) {
		return false
	}
	number := func(i int) uint64 { return uint64(readUnsigned(b[i*long:], long)) }
	*m = message{long: long, at: addr, name: uintptr(number(0)), nameSize: uint32(number(1)), iov: uintptr(number(2)), iovs: number(3),
		control: uintptr(number(4)), room: number(5)}
	return true
}

// readUnsigned returns the number of the C type unsigned long at the start of b.
func readUnsigned(b []byte, size int) uint64 {
	if size == 4 {
		return uint64(binary.NativeEndian.Uint32(b))
	}
	return binary.NativeEndian.Uint64(b)
}

// hasControl reports whether the message has room for a control message.
func (m *message) hasControl() bool { return m.control != 0 && m.room >= uint64(controlHeader(m.long)) }

// controlHeader is the size of struct cmsghdr for a size of long.
func controlHeader(long int) int { return long + 8 }

// controlSpace is CMSG_SPACE of cmsg(3).
func controlSpace(data, long int) int { return alignTo(controlHeader(long)+data, long) }

func alignTo(n, to int) int { return (n + to - 1) &^ (to - 1) }

// nextControl returns the first control message in b, and what follows it. Ok is false at the
// end, and at a message that is malformed.
func nextControl(b []byte, long int) (level, kind int32, data, rest []byte, ok bool) {
	header := controlHeader(long)
	if len(b) < header {
		return 0, 0, nil, nil, false
	}
	size := readUnsigned(b, long)
	if size < uint64(header) || size > uint64(len(b)) {
		return 0, 0, nil, nil, false
	}
	level = int32(binary.NativeEndian.Uint32(b[long:]))
	kind = int32(binary.NativeEndian.Uint32(b[long+4:]))
	return level, kind, b[header:size], b[min(len(b), alignTo(int(size), long)):], true
}

// putControlHeader writes the header of a control message with so many bytes of data.
func putControlHeader(b []byte, data int, level, kind int32, long int) {
	size := controlHeader(long) + data
	if long == 4 {
		binary.NativeEndian.PutUint32(b, uint32(size))
	} else {
		binary.NativeEndian.PutUint64(b, uint64(size))
	}
	binary.NativeEndian.PutUint32(b[long:], uint32(level))
	binary.NativeEndian.PutUint32(b[long+4:], uint32(kind))
}

// maxControl is the room for control messages, in bytes: more than SCM_MAX_FD descriptors,
// credentials, a pidfd, a security context and a timestamp take.
const maxControl = 4096

// eachPart calls f for each part of the caller's buffers, until they hold size bytes. F
// returns false to stop.
func (c *Call) eachPart(m *message, size int, f func(addr uintptr, size int) bool) unix.Errno {
	for i := uint64(0); i < m.iovs && size > 0; i++ {
		var raw [16]byte
		b := raw[:2*m.long] // struct iovec
		if n, e := c.Target.Read(m.iov+uintptr(i)*uintptr(len(b)), b); e != 0 || n < len(b) {
			return unix.EFAULT
		}
		part := int(min(readUnsigned(b[m.long:], m.long), uint64(size)))
		if part > 0 && !f(uintptr(readUnsigned(b, m.long)), part) {
			return unix.EFAULT
		}
		size -= part
	}
	return 0
}

// dataSize returns how many bytes the caller's buffers hold, at most limit.
func (c *Call) dataSize(m *message, limit int) (int, unix.Errno) {
	if m.iovs > maxParts {
		return 0, unix.EMSGSIZE
	}
	total := 0
	e := c.eachPart(m, limit, func(_ uintptr, size int) bool {
		total += size
		return true
	})
	return total, e
}

// maxParts is UIO_MAXIOV of <linux/uio.h>.
const maxParts = 1024

// readData copies the caller's data to b, which has the size that dataSize has returned.
func (c *Call) readData(m *message, b []byte) unix.Errno {
	return c.eachPart(m, len(b), func(addr uintptr, size int) bool {
		n, e := c.Target.Read(addr, b[:size])
		b = b[size:]
		return e == 0 && n == size
	})
}

// writeData copies b to the caller's buffers.
func (c *Call) writeData(m *message, b []byte) unix.Errno {
	return c.eachPart(m, len(b), func(addr uintptr, size int) bool {
		e := c.Target.Write(addr, b[:size])
		b = b[size:]
		return e == 0
	})
}

// putUint32 writes a number to the caller's memory.
func (c *Call) putUint32(addr uintptr, v uint32) unix.Errno {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], v)
	return c.Target.Write(addr, b[:])
}

// putLong writes a number of the type long of m's program to the caller's memory.
func (c *Call) putLong(m *message, addr uintptr, v uint64) unix.Errno {
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], v) // all ABIs are little-endian
	return c.Target.Write(addr, b[:m.long])
}

// readControl reads the control messages of m into b. Ok is false if that fails, or there is
// none.
func (c *Call) readControl(m *message, b *[maxControl]byte) (control []byte, ok bool) {
	if !m.hasControl() || m.room > maxControl {
		return nil, false
	}
	control = b[:m.room]
	n, e := c.Target.Read(m.control, control)
	return control, e == 0 && n == len(control)
}

// ucredOf returns the struct ucred in the data of an SCM_CREDENTIALS message: see unix(7).
func ucredOf(data []byte) (cred unix.Ucred, ok bool) {
	if len(data) != unix.SizeofUcred {
		return cred, false
	}
	return *(*unix.Ucred)(unsafe.Pointer(&data[0])), true
}
