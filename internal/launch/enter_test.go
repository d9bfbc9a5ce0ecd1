package launch

import (
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
	"github.com/rootless-containers/subuidless/internal/supervisor"
)

// TestEnterEnding has the container end, and its supervisor with it, while a command is started in it.
func TestEnterEnding(t *testing.T) {
	ours, theirs, err := fdpass.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer theirs.Close()
	null, err := os.Open(os.DevNull) // any descriptor will do
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if err := send(theirs, packetText, "{}", int(null.Fd())); err != nil {
		t.Fatal(err)
	}
	o := EnterOptions{Supervisor: supervisor.Config{ID: "test", SocketDir: t.TempDir()}}
	if _, _, err := o.join(ours); !errors.Is(err, ErrNotRunning) {
		t.Errorf("got %v, want ErrNotRunning", err)
	}
}

// TestEnterSignalAtOnce has the command, as soon as it runs, get this process a signal. It is passed on.
func TestEnterSignalAtOnce(t *testing.T) {
	survive := make(chan os.Signal, 1)
	signal.Notify(survive, unix.SIGUSR1)
	t.Cleanup(func() { signal.Reset() })
	o := EnterOptions{Socket: filepath.Join(t.TempDir(), "control"), Args: []string{"command"}, Signals: true}
	listener, err := listenControl(o.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	// Others make it slow to catch signals.
	done := make(chan struct{})
	defer close(done)
	for range 4 {
		go func() {
			for c := make(chan os.Signal, 1); ; signal.Stop(c) {
				select {
				case <-done:
					return
				default:
					signal.Notify(c, forwardable()...)
				}
			}
		}()
	}
	for range 20 {
		passed := make(chan error, 1)
		go func() { passed <- serveSignalled(listener) }()
		status, err := Enter(o)
		if e := <-passed; e != nil || err != nil || status != 0 {
			t.Fatalf("status %d, %v; %v", status, err, e)
		}
	}
}

// serveSignalled is the init of a container without a supervisor, and its command.
func serveSignalled(listener *os.File) error {
	fd, _, err := unix.Accept4(int(listener.Fd()), unix.SOCK_CLOEXEC)
	if err != nil {
		return err
	}
	peer := os.NewFile(uintptr(fd), "peer")
	defer peer.Close()
	_, m, err := fdpass.Receive(peer, make([]byte, maxPacket))
	if err != nil {
		return err
	}
	fdpass.Close(m.FDs)
	if err := sendText(peer, "{}"); err != nil {
		return err
	}
	if _, _, err := receive(peer); err != nil { // proceed
		return err
	}
	if err := unix.Kill(unix.Getpid(), unix.SIGUSR1); err != nil {
		return err
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 60}); err != nil {
		return err
	}
	text, _, err := receive(peer)
	if err == nil && text != "10" {
		err = errors.New("received " + text)
	}
	return errors.Join(err, sendStatus(peer, 0))
}
