package handlers

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// A token is a file that travels with a message as one more SCM_RIGHTS descriptor, and holds the
// credentials that the sender has named. The kernel itself carries only ids that the user
// namespace maps, and only the process id of the supervisor, which sends such a message. The
// receiver gets the credentials and not the token: see recvmsg. A receiver that takes no control
// messages loses the token, as the kernel does with any descriptor.
//
// A program could make a token of its own. Emulated ids are no security boundary.
type token struct {
	magic [16]byte
	pidNS uint64 // inode number of the sender's PID namespace
	host  uint32 // the named process, in the supervisor's PID namespace
	seen  int32  // the same in the sender's PID namespace
	uid   uint32
	gid   uint32
}

const tokenSize = int(unsafe.Sizeof(token{}))

var tokenMagic = [16]byte([]byte("ucred subuidless"))

// newToken returns a descriptor of a new file with the content of t.
func newToken(t *token) (int, unix.Errno) {
	fd, e := sys.MemfdCreate(&tokenName[0], unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if e != 0 {
		return -1, e
	}
	t.magic = tokenMagic
	if n, e := sys.Write(fd, unsafe.Slice((*byte)(unsafe.Pointer(t)), tokenSize)); e != 0 || n < tokenSize {
		unix.Close(fd)
		return -1, max(e, unix.ENOMEM)
	}
	if e := sys.Seal(fd, tokenSeals); e != 0 {
		unix.Close(fd)
		return -1, e
	}
	return fd, 0
}

var tokenName = []byte("subuidless ucred\x00")

const tokenSeals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

// readToken reads the file fd into t, and reports whether it is a token.
func readToken(fd int, t *token) bool {
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil || seals != tokenSeals {
		return false
	}
	n, e := sys.Pread(fd, unsafe.Slice((*byte)(unsafe.Pointer(t)), tokenSize))
	return e == 0 && n == tokenSize && t.magic == tokenMagic
}
