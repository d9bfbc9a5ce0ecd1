package target

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestStartTime(t *testing.T) {
	s := startTask(t)
	task := enter(t)
	task.Reset(uint32(s.pid))
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(s.pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))[22-3]
	got, e := task.StartTime()
	if e != 0 || strconv.FormatUint(got, 10) != want {
		t.Errorf("%d, %v; want %s", got, e, want)
	}
	task.Reset(1 << 30)
	if _, e := task.StartTime(); e != unix.ESRCH {
		t.Errorf("of no task: %v, want ESRCH", e)
	}
}

func TestSignalled(t *testing.T) {
	for text, want := range map[string]bool{
		"SigPnd:\t0000000000000000\nShdPnd:\t0000000000000000\nSigBlk:\t0000000000002000\n": false,
		"SigPnd:\t0000000000002000\nShdPnd:\t0000000000000000\nSigBlk:\t0000000000000000\n": true,
		"SigPnd:\t0000000000000000\nShdPnd:\t0000000000002000\nSigBlk:\t0000000000000000\n": true,
		"SigPnd:\t0000000000002000\nShdPnd:\t0000000000002000\nSigBlk:\t0000000000002000\n": false,
		"": false,
	} {
		if got := hasPendingSignal([]byte(text)); got != want {
			t.Errorf("%q: %t, want %t", text, got, want)
		}
	}
}
