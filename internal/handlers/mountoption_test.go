package handlers

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestMountOptions(t *testing.T) {
	c := newCaller(t) // maps 0
	const data = "mode=700,uid=1000,size=1m,gid=0x5"
	const dropped = "mode=700,,,,,,,,,,size=1m,,,,,,,,"
	const bind, magic = unix.MS_BIND, unix.MS_MGC_VAL
	for _, tt := range []struct {
		fstype     string
		flags      int
		data, want string
	}{
		{"tmpfs", 0, data, dropped},
		{"tmpfs", magic | unix.MS_NOSUID, data, dropped},
		{"devpts", unix.MS_REMOUNT, data, dropped},
		{"proc", 0, "gid=5", ",,,,,"},
		{"bpf", 0, "uid=5", ",,,,,"},
		{"tmpfs", 0, "uid=0,gid=00,mode=755", "uid=0,gid=00,mode=755"},
		{"tmpfs", 0, "uid=,gid,uid=x,xuid=5,uid=4294967296", "uid=,gid,uid=x,xuid=5,uid=4294967296"},
		{"tmpfs", 0, "uid=5,,", ",,,,,,,"},
		{"tmpfs", 0, "", ""},
		{"tmpfs", bind, data, data},
		{"tmpfs", magic | bind, data, data},
		{"tmpfs", unix.MS_PRIVATE | unix.MS_REC, data, data},
		{"overlay", 0, "lowerdir=a\\,uid=5:b", "lowerdir=a\\,uid=5:b"},
		{"nfs", 0, "uid=5", "uid=5"}, // which takes a binary struct
		{"a file system with a long name", 0, data, data},
	} {
		options := append([]byte(tt.data), 0)
		if r := c.do(Mount, "none", "/", tt.fstype, tt.flags, options); r != Continue {
			t.Errorf("mount of %s: %+v", tt.fstype, r)
		}
		if got := string(options[:len(options)-1]); got != tt.want {
			t.Errorf("options of %s, flags %#x: %q, want %q", tt.fstype, tt.flags, got, tt.want)
		}
	}
	for _, data := range []int{0, 8} {
		if r := c.do(Mount, "none", "/", "tmpfs", 0, data); r != Continue {
			t.Errorf("options at %d: %+v", data, r)
		}
	}
}
