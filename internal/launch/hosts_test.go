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
		if got := string(hostsFor([]byte(tt.host), tt.hostname, nil)); got != tt.want {
			t.Errorf("hostsFor(%q, %q) = %q, want %q", tt.host, tt.hostname, got, tt.want)
		}
	}
}

func TestFurtherHosts(t *testing.T) {
	further := []string{"db:192.0.2.1", "six:2001:db8::1"}
	const want = "127.0.0.1 localhost\n192.0.2.1\tdb\n2001:db8::1\tsix\n"
	for _, host := range []string{"127.0.0.1 localhost", "127.0.0.1 localhost\n"} {
		if got := string(hostsFor([]byte(host), "", further)); got != want {
			t.Errorf("hostsFor(%q) = %q, want %q", host, got, want)
		}
	}
}

func TestParseHost(t *testing.T) {
	for text, want := range map[string]string{ // "": an error
		"db:192.0.2.1":            "db:192.0.2.1",
		"db=192.0.2.1":            "db:192.0.2.1",
		"six:2001:db8::1":         "six:2001:db8::1",
		"six=[2001:db8::1]":       "six:2001:db8::1",
		"host:host-gateway":       "host:127.0.0.1",
		"db":                      "",
		":192.0.2.1":              "",
		"db:":                     "",
		"db:db.example.org":       "",
		"a b:192.0.2.1":           "",
		"db:192.0.2.1\nx 1.2.3.4": "",
	} {
		if got, err := ParseHost(text); got != want || (err == nil) != (want != "") {
			t.Errorf("ParseHost(%q) = %q, %v; want %q", text, got, err, want)
		}
	}
}
