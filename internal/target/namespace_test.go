package target

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestEnterNetwork(t *testing.T) {
	tr := enter(t)
	pid := uint32(startSleep(t, unix.CLONE_NEWNET))
	tr.Reset(pid)
	if e := tr.EnterNetwork(); e != 0 {
		t.Fatal(e)
	}
	tr.Reset(uint32(unix.Gettid()))
	if !tr.sharesNamespace(pid, "net") {
		t.Error("the thread is in another network namespace than the task")
	}
	// icmp(7): "The default is "1 0", which means no group is allowed". Where both are not
	// mapped, as for who is not the host's root, they show as the same.
	const overflow = 65534
	if low, high, e := tr.PingGroups(); low <= high && low != overflow || e != 0 {
		t.Errorf("ping_group_range: %d %d, %v; want no group", low, high, e)
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte("0 0"), 0); err != nil {
		t.Fatal(err)
	}
	if low, high, e := tr.PingGroups(); low != 0 || high != 0 || e != 0 {
		t.Errorf("ping_group_range: %d %d, %v; want 0 0", low, high, e)
	}
	tr.Reset(1<<31 - 2)
	if e := tr.EnterNetwork(); e != unix.ENOENT {
		t.Errorf("of no task: %v", e)
	}
}

func TestExists(t *testing.T) {
	tr := enter(t)
	if !tr.Exists(uint32(os.Getpid())) {
		t.Error("the test does not exist")
	}
	if tr.Exists(1<<31 - 2) {
		t.Error("a thread of an impossible number exists")
	}
}
