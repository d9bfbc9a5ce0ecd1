package launch

import "testing"

func TestHostsFor(t *testing.T) {
	const local = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
	for _, tt := range []struct{ host, hostname, want string }{
		{"", "", local},
		{"10.0.0.1 a # localhost\n", "", local + "10.0.0.1 a # localhost\n"},
		{"localhost\n", "", local + "localhost\n"}, // an address without a name
		{"127.0.0.1 a localhost\n", "", "127.0.0.1 a localhost\n"},
		{"127.0.0.1 localhost", "box", "127.0.1.1\tbox\n127.0.0.1 localhost"},
		{"127.0.0.1 localhost\n", "localhost", "127.0.0.1 localhost\n"},
		{"", "box.example.org", local + "127.0.1.1\tbox.example.org box\n"},
	} {
		if got := string(hostsFor([]byte(tt.host), tt.hostname)); got != tt.want {
			t.Errorf("hostsFor(%q, %q) = %q, want %q", tt.host, tt.hostname, got, tt.want)
		}
	}
}
