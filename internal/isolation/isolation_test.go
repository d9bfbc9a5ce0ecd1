package isolation

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestChoose(t *testing.T) {
	refused := errors.New("refused")
	for _, tt := range []struct {
		name string
		f    Facts
		want Mode
		err  string // part of it; empty: none
	}{
		{"user", Facts{Lacking: []string{"CAP_CHOWN"}}, Namespaces, ""},
		{"root", Facts{Root: true}, Namespaces, ""},
		{"nested", Facts{Supervised: true, Root: true, Namespaces: refused}, Nested, ""},
		{"pod", Facts{Root: true, Initial: true, Namespaces: refused}, Chroot, ""},
		{"pod without capabilities", Facts{Root: true, Initial: true, Lacking: []string{"CAP_MKNOD", "CAP_CHOWN"}, Namespaces: refused}, Namespaces, "CAP_MKNOD, CAP_CHOWN are missing"},
		{"pod in a user namespace", Facts{Root: true, Namespaces: refused}, Namespaces, "initial user namespace"},
		{"user of a pod", Facts{Namespaces: refused}, Namespaces, "needs root"},
	} {
		got, err := tt.f.Choose()
		if got != tt.want || (err == nil) != (tt.err == "") {
			t.Errorf("%s: %v, %v; want %v", tt.name, got, err, tt.want)
		}
		if err != nil && (!errors.Is(err, refused) || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%s: %q does not say %q and why namespaces are refused", tt.name, err, tt.err)
		}
	}
	if Namespaces.NativeOwners() || !Nested.NativeOwners() || !Chroot.NativeOwners() {
		t.Error("only Namespaces needs records")
	}
}

// dockerCapabilities is the set that docker gives a container by default.
const dockerCapabilities = 1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_FSETID | 1<<unix.CAP_FOWNER |
	1<<unix.CAP_MKNOD | 1<<unix.CAP_NET_RAW | 1<<unix.CAP_SETGID | 1<<unix.CAP_SETUID | 1<<unix.CAP_SETFCAP | 1<<unix.CAP_SETPCAP |
	1<<unix.CAP_NET_BIND_SERVICE | 1<<unix.CAP_SYS_CHROOT | 1<<unix.CAP_KILL | 1<<unix.CAP_AUDIT_WRITE

func TestLacking(t *testing.T) {
	if names := lacking(dockerCapabilities); len(names) > 0 {
		t.Errorf("docker's default capabilities lack %v", names)
	}
	const drop = uint64(1<<unix.CAP_MKNOD | 1<<unix.CAP_SYS_CHROOT)
	if names := lacking(dockerCapabilities &^ drop); !slices.Equal(names, []string{"CAP_SYS_CHROOT", "CAP_MKNOD"}) {
		t.Errorf("got %v", names)
	}
	if names := lacking(0); len(names) != len(chrootCapabilities) {
		t.Errorf("without any: %v", names)
	}
}

// The facts agree with the choice, whatever this machine allows.
func TestExamine(t *testing.T) {
	f, err := Examine()
	if err != nil {
		t.Fatal(err)
	}
	want, err := f.Choose()
	if got := Current(); got != want {
		t.Errorf("Current is %v, but %+v means %v (%v)", got, f, want, err)
	}
}
