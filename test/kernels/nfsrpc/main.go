// Command nfsrpc answers what the NFS server and client of a kernel ask user space for, in a guest
// without nfs-utils. It listens on TCP port 111 of the loopback interface, and is two services: the
// port mapper of rpcbind(8), which agrees to everything, and the mount service of rpc.mountd(8),
// version 3, which gets file handles from the kernel.
package main

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

// client is the name of all clients in the kernel's tables of exports.
const client = "guest"

// Numbers of RFC 5531 (RPC) and of appendix I of RFC 1813 (MOUNT).
const (
	lastFragment = 1 << 31 // of a record mark
	accepted     = 1       // the type of a reply, followed by zeros: a verifier, and success
	mountProgram = 100005
	mountMount   = 1 // MOUNTPROC3_MNT
	authSys      = 1
)

// maxCall is more than the length of any call of the kernel, in bytes.
const maxCall = 64 << 10

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:111")
	for err == nil {
		var c net.Conn
		if c, err = listener.Accept(); err == nil {
			go serve(c)
		}
	}
	fmt.Fprintln(os.Stderr, "nfsrpc:", err)
	os.Exit(1)
}

// serve answers the calls of a connection, until the other end closes it.
func serve(c net.Conn) {
	defer c.Close()
	var err error
	for err == nil {
		err = serveCall(c)
	}
	if !errors.Is(err, io.EOF) {
		fmt.Fprintln(os.Stderr, "nfsrpc:", err)
	}
}

// serveCall answers the next call of a connection. The error is io.EOF if there is none.
func serveCall(c net.Conn) error {
	var mark uint32
	if err := binary.Read(c, binary.BigEndian, &mark); err != nil {
		return err
	}
	size := mark &^ lastFragment
	if size > maxCall {
		return fmt.Errorf("a call of %d bytes", size)
	}
	call := make([]byte, size)
	if _, err := io.ReadFull(c, call); err != nil {
		return err
	}
	reply, err := answer(call)
	if err != nil {
		return err
	}
	_, err = c.Write(append(numbers(uint32(len(reply))|lastFragment), reply...))
	return err
}

// answer returns the reply to a call.
func answer(call []byte) ([]byte, error) {
	message := words{rest: call}
	id, _, _, program, _, procedure := message.next(), message.next(), message.next(), message.next(), message.next(), message.next()
	for range 2 { // the credentials and the verifier
		message.next()
		message.opaque()
	}
	reply := numbers(id, accepted, 0, 0, 0, 0)
	if program != mountProgram {
		return append(reply, numbers(1)...), message.err // true
	}
	if procedure != mountMount {
		return reply, message.err
	}
	dir := message.opaque()
	if message.err != nil {
		return nil, message.err
	}
	handle, err := fileHandle(string(dir))
	if err != nil {
		return nil, err
	}
	reply = append(reply, numbers(0, uint32(len(handle)))...)
	reply = append(reply, handle...)
	reply = append(reply, make([]byte, -len(handle)&3)...)
	return append(reply, numbers(1, authSys)...), nil
}

// fileHandle returns the handle of an exported directory.
func fileHandle(dir string) ([]byte, error) {
	const maxHandle = 64 // bytes, NFS3_FHSIZE
	f, err := os.OpenFile("/proc/fs/nfsd/filehandle", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "%s %s %d\n", client, dir, maxHandle); err != nil {
		return nil, err
	}
	var text [4*maxHandle + 1]byte
	n, err := f.Read(text[:])
	if err != nil {
		return nil, err
	}
	return hex.DecodeString(strings.TrimPrefix(strings.TrimSpace(string(text[:n])), `\x`))
}

// words reads numbers and strings of XDR (RFC 4506).
type words struct {
	rest []byte
	err  error
}

// take returns the next n bytes, or zeros after the end.
func (w *words) take(n int) []byte {
	if len(w.rest) < n {
		w.err = io.ErrUnexpectedEOF
		return make([]byte, n)
	}
	b := w.rest[:n]
	w.rest = w.rest[n:]
	return b
}

func (w *words) next() uint32 { return binary.BigEndian.Uint32(w.take(4)) }

func (w *words) opaque() []byte {
	n := int(min(w.next(), maxCall))
	b := w.take(n)
	w.take(-n & 3)
	return b
}

// numbers returns numbers in XDR.
func numbers(list ...uint32) []byte {
	var b []byte
	for _, n := range list {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}
