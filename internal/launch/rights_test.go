package launch

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseCapability(t *testing.T) {
	for text, want := range map[string]string{"chown": "CAP_CHOWN", "CAP_NET_RAW": "CAP_NET_RAW", "cap_sys_admin": "CAP_SYS_ADMIN", "all": "ALL", "CHECKPOINT_RESTORE": "CAP_CHECKPOINT_RESTORE"} {
		if got, err := ParseCapability(text); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "CAP_", "chowm", "CAP_ALL_"} {
		if got, err := ParseCapability(text); err == nil {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func TestDroppedCapabilities(t *testing.T) {
	list := func(text string) []string { return strings.Fields(text) }
	for _, tt := range []struct {
		add, drop string
		want      []int // some that are dropped
		kept      []int
	}{
		{"", "CAP_CHOWN CAP_BPF", []int{unix.CAP_CHOWN, unix.CAP_BPF}, []int{unix.CAP_KILL}},
		{"", "ALL", []int{unix.CAP_CHOWN, unix.CAP_WAKE_ALARM}, nil},
		{"CAP_CHOWN", "ALL", []int{unix.CAP_KILL}, []int{unix.CAP_CHOWN}},
		{"ALL", "CAP_CHOWN", []int{unix.CAP_CHOWN}, []int{unix.CAP_KILL}},
	} {
		got, err := droppedCapabilities(list(tt.add), list(tt.drop))
		if err != nil {
			t.Fatal(err)
		}
		for c := range unix.CAP_LAST_CAP + 1 {
			has := got.Has(c)
			if slices.Contains(tt.want, c) && !has || slices.Contains(tt.kept, c) && has {
				t.Errorf("add %q, drop %q: %x, in which %d is wrong", tt.add, tt.drop, got, c)
			}
		}
	}
	if got, err := droppedCapabilities(list("CAP_CHOWN"), nil); err != nil || got != 0 {
		t.Errorf("without a drop: %x, %v", got, err)
	}
	if _, err := droppedCapabilities(list("CAP_CHOWN"), list("CAP_CHOWN")); err == nil {
		t.Error("a capability is added and dropped")
	}
}

func TestParseDevice(t *testing.T) {
	for spec, want := range map[string]volume{
		"/dev/null": {Source: "/dev/null", Destination: "/dev/null"}, "/dev/null:rw": {Source: "/dev/null", Destination: "/dev/null"},
		"/dev/null:/dev/x": {Source: "/dev/null", Destination: "/dev/x"}, "/dev/zero:/y:rwm": {Source: "/dev/zero", Destination: "/y"}, "/dev/pts": {Source: "/dev/pts", Destination: "/dev/pts"},
	} {
		if got, err := parseDevice(spec); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", spec, got, err, want)
		}
	}
	for spec, want := range map[string]string{
		"/dev/null:r": "must be rw or rwm", "/dev/null:/x:q": "must be rw or rwm", "dev/null": "absolute paths", "/dev/null:/": "absolute paths",
		"/no/such": "on the host: no such file", "/etc/passwd": "--volume is for files", "/dev/null:/a:/b:rw": "must be rw or rwm", "": "absolute paths",
	} {
		if got, err := parseDevice(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want %s", spec, got, err, want)
		}
	}
}

func TestParsePort(t *testing.T) {
	for text, want := range map[string]string{"80:80": "80/tcp", "53:53/udp": "53/udp", "1-3:1-3/tcp": "1-3/tcp"} {
		if got, err := ParsePort(text); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"80": "give 80:80", "81:80": "give 80:80", "::1:80:80": "the addresses are those", "1.2.3.4:80:80": "the addresses are those", "80:80/sctp": "must be tcp or udp",
		"0:0": "from 1 to 65535", "65536:65536": "from 1 to 65535", "3-1:3-1": "from 1 to 65535", "x:x": "from 1 to 65535", ":": "from 1 to 65535", "1-:1-": "from 1 to 65535",
	} {
		if got, err := ParsePort(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
}

// TestCheckPorts has ports that are in use.
func TestCheckPorts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	for _, text := range []string{
		strconv.Itoa(l.Addr().(*net.TCPAddr).Port) + "/tcp", strconv.Itoa(u.LocalAddr().(*net.UDPAddr).Port) + "/udp",
	} {
		if err := checkPorts([]string{text}); err == nil || !strings.Contains(err.Error(), "another program uses it already") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
