package launch

import (
	"strings"
	"testing"
)

// TestResolver replaces lines of a resolv.conf(5).
func TestResolver(t *testing.T) {
	const host = "# mine\ndomain old.example\nnameserver 192.0.2.1\nnameserver 192.0.2.2\noptions ndots:2\nsortlist 192.0.2.0"
	for flags, want := range map[string]string{
		"":                host,
		"dns=2001:db8::1": "# mine\ndomain old.example\noptions ndots:2\nsortlist 192.0.2.0\nnameserver 2001:db8::1\n",
		"dns=1.1.1.1 dns=8.8.8.8 dns-search=a dns-search=b dns-option=edns0": "# mine\nsortlist 192.0.2.0\nsearch a b\nnameserver 1.1.1.1\nnameserver 8.8.8.8\noptions edns0\n",
		"dns-search=.": "# mine\nnameserver 192.0.2.1\nnameserver 192.0.2.2\noptions ndots:2\nsortlist 192.0.2.0\n",
	} {
		var lines []string
		for flag := range strings.FieldsSeq(flags) {
			name, value, _ := strings.Cut(flag, "=")
			line, err := ParseResolver(name, value)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, line)
		}
		if got := string(resolverFor([]byte(host), lines)); got != want {
			t.Errorf("%s: %q, want %q", flags, got, want)
		}
	}
	for flag, value := range map[string]string{"dns": "host.example", "dns-search": "a\nnameserver 1.2.3.4", "dns-option": ""} {
		if line, err := ParseResolver(flag, value); err == nil {
			t.Errorf("--%s %q is %q, want an error", flag, value, line)
		}
	}
}
