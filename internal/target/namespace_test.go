package target

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestEnterNetwork(t *testing.T) {
	task := enter(t)
	pid := uint32(startSleep(t, unix.CLONE_NEWNET))
	task.Reset(pid)
	if e := task.EnterNetwork(); e != 0 {
		t.Fatal(e)
	}
	task.Reset(uint32(unix.Gettid()))
	if !task.sharesNamespace(pid, "net") {
		t.Error("the receiver is not in the network namespace of the task")
	}
	// icmp(7): "The default is "1 0", which means no group is allowed". Both show as the
	// overflow id if the user namespace does not map them.
	const overflow = 65534
	if low, high, e := task.PingGroups(); low <= high && low != overflow || e != 0 {
		t.Errorf("ping_group_range: %d %d, %v; want no group", low, high, e)
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte("0 0"), 0); err != nil {
		t.Fatal(err)
	}
	if low, high, e := task.PingGroups(); low != 0 || high != 0 || e != 0 {
		t.Errorf("ping_group_range: %d %d, %v; want 0 0", low, high, e)
	}
	task.Reset(1<<31 - 2)
	if e := task.EnterNetwork(); e != unix.ENOENT {
		t.Errorf("of no task: %v", e)
	}
}

func TestExists(t *testing.T) {
	task := enter(t)
	if !task.Exists(uint32(os.Getpid())) {
		t.Error("the test does not exist")
	}
	if task.Exists(1<<31 - 2) {
		t.Error("a thread with an impossible id exists")
	}
}
