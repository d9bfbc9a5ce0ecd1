package accelerate

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestWaitsAt(t *testing.T) {
	for text, want := range map[string]struct {
		ip    uint64
		waits bool
	}{
		"running\n":                          {0, false},
		"":                                   {0, false},
		"-1 0x7ffe2a1f0c38 0x7f1d3c2b1a4f\n": {0x7f1d3c2b1a4f, true},
		"-1 0x7ffe2a1f0c38 nothing\n":        {0, false},
		"202 0x55d 0x189 0x0 0x0 0x0 0x0 0x7ffd0 0x7f0a2b3c4d5e\n": {0, true},
	} {
		if ip, waits := waitsAt([]byte(text)); ip != want.ip || waits != want.waits {
			t.Errorf("%q: %#x, %v; want %#x, %v", text, ip, waits, want.ip, want.waits)
		}
	}
}

// TestLetRun waits for a thread that waits in a system call, and for one that does not.
func TestLetRun(t *testing.T) {
	for name, timeout := range map[string]int{"waits": -1, "runs": 0} {
		t.Run(name, func(t *testing.T) {
			var pipe [2]int
			if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
				t.Fatal(err)
			}
			defer unix.Close(pipe[0])
			tid, ended := make(chan int), make(chan struct{})
			go func() {
				runtime.LockOSThread()
				tid <- unix.Gettid()
				for n := 0; n == 0; {
					n, _ = unix.Poll([]unix.PollFd{{Fd: int32(pipe[0]), Events: unix.POLLIN}}, timeout)
				}
				close(ended)
			}()
			dir := fmt.Sprintf("/proc/self/task/%d", <-tid)
			if err := letRun(dir, time.Now().Add(time.Minute), func(uint64) bool { return true }); err != nil {
				t.Error(err)
			}
			unix.Close(pipe[1]) // ends the thread
			<-ended
		})
	}
}
