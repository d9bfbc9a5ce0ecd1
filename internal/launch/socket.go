package launch

import (
	"errors"
	"os"

	"github.com/rootless-containers/subuidless/internal/fdpass"
)

// Front, init and stage exchange packets in a fixed order, so a packet does not say what it
// means. An error packet may be sent in place of any other packet.

// maxPacket is the size of the longest packet in bytes. Longer error messages are truncated.
const maxPacket = 4096

// Texts that only help to read a system call trace.
const (
	ready   = "ready"
	proceed = "proceed"
)

// The first byte of a packet.
const (
	packetText  = 't'
	packetError = 'e'
)

// sendText sends a packet with a text.
func sendText(socket *os.File, text string) error { return send(socket, packetText, text) }

// sendFile sends a packet that passes a file.
func sendFile(socket *os.File, f fder) error { return send(socket, packetText, "", int(f.Fd())) }

// sendError sends the reason why the setup failed, as the last packet.
func sendError(socket *os.File, err error) error { return send(socket, packetError, err.Error()) }

// fder is an *os.File or a console.Console.
type fder interface{ Fd() uintptr }

func send(socket *os.File, kind byte, text string, fds ...int) error {
	packet := append([]byte{kind}, text...)
	return fdpass.Send(socket, packet[:min(len(packet), maxPacket)], fds...)
}

// receive waits for a packet, and returns its text and the file that it passes, or nil. The
// error is io.EOF if the peer has ended, or the one that the peer sent with sendError.
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
		return nil, errors.New("received a packet without the file that it should pass")
	}
	return file, err
}
