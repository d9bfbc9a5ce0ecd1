package launch

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Front, init and stage talk in packets. The order in which they do is fixed,
// so that a packet need not say what it means; only an error may come instead
// of any other one.

// maxPacket is the longest packet; a longer error is cut.
const maxPacket = 4096

// Texts, for who reads a trace of the sockets.
const (
	ready   = "ready"
	proceed = "proceed"
)

// The first byte of a packet.
const (
	packetText  = 't'
	packetError = 'e'
)

// socketpair returns two connected sockets that keep messages apart.
func socketpair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "socket"), os.NewFile(uintptr(fds[1]), "socket"), nil
}

// sendText sends a text.
func sendText(socket *os.File, text string) error { return send(socket, packetText, text, nil) }

// sendFile passes a file.
func sendFile(socket *os.File, f fder) error {
	return send(socket, packetText, "", unix.UnixRights(int(f.Fd())))
}

// sendError tells why setting up failed. There is nothing to say after it.
func sendError(socket *os.File, err error) error {
	return send(socket, packetError, err.Error(), nil)
}

type fder interface{ Fd() uintptr }

func send(socket *os.File, kind byte, text string, rights []byte) error {
	packet := append([]byte{kind}, text...)
	if len(packet) > maxPacket {
		packet = packet[:maxPacket]
	}
	for {
		// MSG_NOSIGNAL: a peer that was killed is an error to report.
		err := unix.Sendmsg(int(socket.Fd()), packet, rights, nil, unix.MSG_NOSIGNAL)
		if err == nil {
			return nil
		}
		if err != unix.EINTR {
			return fmt.Errorf("sendmsg: %w", err)
		}
	}
}

// receive waits for a packet, and returns its text and the file passed with it,
// if any. The error is io.EOF if the peer has ended, or what the peer has sent
// with sendError.
func receive(socket *os.File) (text string, file *os.File, err error) {
	packet := make([]byte, maxPacket)
	rights := make([]byte, unix.CmsgSpace(4))
	for {
		n, rn, _, _, err := unix.Recvmsg(int(socket.Fd()), packet, rights, unix.MSG_CMSG_CLOEXEC)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return "", nil, fmt.Errorf("recvmsg: %w", err)
		case n == 0:
			return "", nil, io.EOF
		}
		text = string(packet[1:n])
		if packet[0] == packetError {
			return "", nil, errors.New(text)
		}
		if rn > 0 {
			file, err = receivedFile(rights[:rn])
		}
		return text, file, err
	}
}

// receiveFile waits for a packet that passes a file.
func receiveFile(socket *os.File) (*os.File, error) {
	_, file, err := receive(socket)
	if err == nil && file == nil {
		return nil, errors.New("a packet came without the file that belongs to it")
	}
	return file, err
}

func receivedFile(rights []byte) (*os.File, error) {
	msgs, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, fmt.Errorf("control message: %w", err)
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil {
		return nil, fmt.Errorf("SCM_RIGHTS: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "received"), nil
}
