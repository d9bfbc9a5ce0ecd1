package launch

import (
	"errors"
	"os"

	"github.com/rootless-containers/subuidless/internal/fdpass"
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

// sendText sends a text.
func sendText(socket *os.File, text string) error { return send(socket, packetText, text) }

// sendFile passes a file.
func sendFile(socket *os.File, f fder) error { return send(socket, packetText, "", int(f.Fd())) }

// sendError tells why setting up failed. There is nothing to say after it.
func sendError(socket *os.File, err error) error { return send(socket, packetError, err.Error()) }

type fder interface{ Fd() uintptr }

func send(socket *os.File, kind byte, text string, fds ...int) error {
	packet := append([]byte{kind}, text...)
	return fdpass.Send(socket, packet[:min(len(packet), maxPacket)], fds...)
}

// receive waits for a packet, and returns its text and the file passed with it,
// if any. The error is io.EOF if the peer has ended, or what the peer has sent
// with sendError.
func receive(socket *os.File) (text string, file *os.File, err error) {
	packet := make([]byte, maxPacket)
	n, m, err := fdpass.Receive(socket, packet)
	if err != nil {
		return "", nil, err
	}
	if len(m.FDs) > 0 {
		file = os.NewFile(uintptr(m.FDs[0]), "received")
		fdpass.Close(m.FDs[1:])
	}
	text = string(packet[1:n])
	if packet[0] == packetError {
		return "", file, errors.New(text)
	}
	return text, file, nil
}

// receiveFile waits for a packet that passes a file.
func receiveFile(socket *os.File) (*os.File, error) {
	_, file, err := receive(socket)
	if err == nil && file == nil {
		return nil, errors.New("a packet came without the file that belongs to it")
	}
	return file, err
}
