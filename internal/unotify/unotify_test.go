package unotify

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The structures of <linux/seccomp.h> are the same on all architectures.
func TestLayouts(t *testing.T) {
	var n Notif
	var d Data
	var r Resp
	for _, tt := range []struct {
		name      string
		got, want uintptr
	}{
		{"sizeof(struct seccomp_notif)", unsafe.Sizeof(n), 80},
		{"seccomp_notif.pid", unsafe.Offsetof(n.PID), 8},
		{"seccomp_notif.flags", unsafe.Offsetof(n.Flags), 12},
		{"seccomp_notif.data", unsafe.Offsetof(n.Data), 16},
		{"sizeof(struct seccomp_data)", unsafe.Sizeof(d), 64},
		{"seccomp_data.arch", unsafe.Offsetof(d.Arch), 4},
		{"seccomp_data.instruction_pointer", unsafe.Offsetof(d.IP), 8},
		{"seccomp_data.args", unsafe.Offsetof(d.Args), 16},
		{"sizeof(struct seccomp_notif_resp)", unsafe.Sizeof(r), 24},
		{"seccomp_notif_resp.val", unsafe.Offsetof(r.Val), 8},
		{"seccomp_notif_resp.error", unsafe.Offsetof(r.Error), 16},
		{"seccomp_notif_resp.flags", unsafe.Offsetof(r.Flags), 20},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, tt.got, tt.want)
		}
	}
}

func TestCheckSizes(t *testing.T) {
	if err := CheckSizes(); err != nil {
		t.Error(err)
	}
}

// Other descriptors cause an error instead of an endless wait.
func TestNoListener(t *testing.T) {
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(null)
	var n Notif
	if e := Recv(null, &n); e != unix.ENOTTY {
		t.Errorf("Recv: %v, want ENOTTY", e)
	}
	if e := Send(null, &Resp{ID: 1}); e != unix.ENOTTY {
		t.Errorf("Send: %v, want ENOTTY", e)
	}
	if Waits(null, 1) {
		t.Error("Waits: /dev/null has a notification")
	}
	if err := WaitHangup(1 << 20); err != nil { // POLLNVAL
		t.Errorf("WaitHangup of a closed descriptor: %v", err)
	}
}
