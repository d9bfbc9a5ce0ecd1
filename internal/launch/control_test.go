package launch

import (
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSignalAnswer ends the command by a signal, while the answer to the signal has to wait. The init
// may not end before it is sent.
func TestSignalAnswer(t *testing.T) {
	pid, err := syscall.ForkExec("/bin/sleep", []string{"sleep", "1000"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	peer, control := os.NewFile(uintptr(pair[0]), "peer"), os.NewFile(uintptr(pair[1]), "control")
	defer peer.Close()
	queued := 0
	for ; err == nil; queued++ {
		err = unix.Send(pair[1], []byte("x"), unix.MSG_DONTWAIT)
	}
	if err != unix.EAGAIN {
		t.Fatal(err)
	}
	if err := sendText(peer, requestSignal+"15"); err != nil {
		t.Fatal(err)
	}
	r := &reaper{waiting: map[int]chan int{}}
	ended := make(chan int, 1)
	go func() {
		status, err := r.until(pid)
		if err != nil {
			t.Error(err)
		}
		ended <- status
	}()
	go new(container).serve(control, r, pid)
	for unix.Kill(pid, 0) != unix.ESRCH { // until it is reaped
		time.Sleep(time.Millisecond)
	}
	select {
	case <-ended:
		t.Fatal("the init ends before it has answered")
	case <-time.After(20 * time.Millisecond): // less is no failure
	}
	for range queued { // the answer is the last one
		if _, err := unix.Read(pair[0], make([]byte, 16)); err != nil {
			t.Fatal(err)
		}
	}
	if status := <-ended; status != 128+15 {
		t.Errorf("the status is %d", status)
	}
}
