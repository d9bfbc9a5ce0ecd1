package handlers

import (
	"testing"

	"github.com/rootless-containers/subuidless/internal/owner"
)

func TestFilterNames(t *testing.T) {
	const x = owner.Xattr
	for _, tt := range []struct{ names, want, privileged string }{
		{"", "", ""},
		{x + "\x00", "", ""},
		{"user.a\x00" + x + "\x00", "user.a\x00", "user.a\x00"},
		{"user.a\x00" + x + "\x00user.b\x00", "user.a\x00user.b\x00", "user.a\x00user.b\x00"},
		{"user.a\x00", "user.a\x00", "user.a\x00"},
		{x + "s\x00", x + "s\x00", x + "s\x00"},
		{"user." + x + "\x00", "user." + x + "\x00", "user." + x + "\x00"},
		{x[:len(x)-1] + "\x00", x[:len(x)-1] + "\x00", x[:len(x)-1] + "\x00"},
		{x + ".other\x00", "", ""},
		{x + ".trusted.a\x00user.b\x00", "user.b\x00", "trusted.a\x00user.b\x00"},
		{"user.a\x00" + x + "\x00" + x + ".trusted.b\x00", "user.a\x00", "user.a\x00trusted.b\x00"},
		{x, "", ""}, // not terminated
	} {
		if got := filterNames([]byte(tt.names), false, false); string(got) != tt.want {
			t.Errorf("shownNames(%q, false) = %q, want %q", tt.names, got, tt.want)
		}
		if got := filterNames([]byte(tt.names), true, false); string(got) != tt.privileged {
			t.Errorf("shownNames(%q, true) = %q, want %q", tt.names, got, tt.privileged)
		}
	}
}
