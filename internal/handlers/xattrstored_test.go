package handlers

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

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
		{x + ".security.a\x00user.b\x00", "security.a\x00user.b\x00", "security.a\x00user.b\x00"},
		// The host's root has set it, too.
		{"security.a\x00" + x + ".security.a\x00", "security.a\x00", "security.a\x00"},
		{x + ".security.a\x00security.a\x00", "security.a\x00", "security.a\x00"},
		// The kernel lists the capabilities, or they are gone.
		{x + ".security.capability\x00", "", ""},
		{x, "", ""}, // not terminated
	} {
		if got := filterNames([]byte(tt.names), false, false); string(got) != tt.want {
			t.Errorf("filterNames(%q, false) = %q, want %q", tt.names, got, tt.want)
		}
		if got := filterNames([]byte(tt.names), true, false); string(got) != tt.privileged {
			t.Errorf("filterNames(%q, true) = %q, want %q", tt.names, got, tt.privileged)
		}
	}
	const list = "security.selinux\x00" + x + ".trusted.a\x00" + x + "\x00" + x + ".security.b\x00"
	for privileged, want := range map[bool]string{false: "security.b\x00", true: "trusted.a\x00security.b\x00"} {
		if got := filterStored([]byte(list), privileged); string(got) != want {
			t.Errorf("filterStored(%t): %q, want %q", privileged, got, want)
		}
	}
}

// ls(1) asks for security.selinux of every file.
func TestReadingSecurityCostsNothing(t *testing.T) {
	c := newCaller(t)
	path := c.newFile(owner.ID{UID: 42, GID: 43})
	b := make([]byte, 64)
	if got := c.do(Lgetxattr, path, "security.selinux", b, len(b)); got != Continue {
		t.Errorf("%+v, want the kernel's answer", got)
	}
	if c.call.scratch != nil {
		t.Error("the buffer is in use")
	}
	if n := testing.AllocsPerRun(100, func() { Lgetxattr(&c.call) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func TestSpecialFileAttributes(t *testing.T) {
	c := newCaller(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("nowhere", link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"trusted.a", "security.a"} {
		if got := c.do(Lsetxattr, link, name, "abc", 3, 0); got.Errno != 0 {
			t.Fatalf("%s: %+v", name, got)
		}
		b := make([]byte, 8)
		if got := c.do(Lgetxattr, link, name, b, len(b)); got != Continue && (got != Return(3) || string(b[:3]) != "abc") {
			t.Errorf("%s: %+v, %q", name, got, b)
		}
		if got := c.do(Lremovexattr, link, name); got.Errno != 0 {
			t.Errorf("%s: removexattr: %+v", name, got)
		}
		if got := c.do(Lgetxattr, link, name, b, len(b)); got != Continue && got.Errno != unix.ENODATA {
			t.Errorf("%s: after its removal: %+v", name, got)
		}
	}
}
