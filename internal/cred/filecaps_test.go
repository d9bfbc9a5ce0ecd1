package cred_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/credtest"
)

var fileCapsTests = []struct {
	name  string
	value string
	want  cred.FileCaps
	errno unix.Errno // of execve
	set   unix.Errno // of setxattr
}{
	{"setcap cap_net_raw=ep", "0100000200200000000000000000000000000000",
		cred.FileCaps{Permitted: 1 << unix.CAP_NET_RAW, Effective: true}, 0, 0},
	{"setcap cap_bpf=i", "0000000200000000000000000000000080000000",
		cred.FileCaps{Inheritable: 1 << unix.CAP_BPF}, 0, 0},
	{"setcap -n 1000 cap_chown=p", "0000000301000000000000000000000000000000e8030000",
		cred.FileCaps{Permitted: 1 << unix.CAP_CHOWN, RootID: 1000}, 0, 0},
	{"revision 1", "010000010100000002000000",
		cred.FileCaps{Permitted: 1 << unix.CAP_CHOWN, Inheritable: 1 << unix.CAP_DAC_OVERRIDE, Effective: true}, 0, unix.EINVAL},
	{"unknown flag", "0200000200200000000000000000000000000000", cred.FileCaps{}, unix.EINVAL, unix.EINVAL},
	{"unknown revision", "0000000400200000000000000000000000000000", cred.FileCaps{}, unix.EINVAL, unix.EINVAL},
	{"revision 2 with the size of 3", "000000020020000000000000000000000000000000000000", cred.FileCaps{}, unix.EINVAL, unix.EINVAL},
	{"short", "000000", cred.FileCaps{}, unix.EINVAL, unix.EINVAL},
	{"empty", "", cred.FileCaps{}, unix.EINVAL, 0},
}

func TestFileCaps(t *testing.T) {
	for _, test := range fileCapsTests {
		value, err := hex.DecodeString(test.value)
		if err != nil {
			t.Fatal(err)
		}
		got, e := cred.ParseFileCaps(value)
		if got != test.want || e != test.errno {
			t.Errorf("%s: %+v, %v; want %+v, %v", test.name, got, e, test.want, test.errno)
		}
		if e := cred.CheckFileCaps(value); e != test.set {
			t.Errorf("%s: setxattr gives %v, want %v", test.name, e, test.set)
		}
	}
}

// TestFileCapsKernel sets the same values on a file, and compares the errors.
func TestFileCapsKernel(t *testing.T) {
	credtest.NeedRoot(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range fileCapsTests {
		value, err := hex.DecodeString(test.value)
		if err != nil {
			t.Fatal(err)
		}
		var want error
		if test.set != 0 {
			want = test.set
		}
		if err := unix.Setxattr(file, "security.capability", value, 0); err != want {
			t.Errorf("%s: setxattr: %v, want %v", test.name, err, want)
		}
	}
}

// FuzzFileCaps checks that decoding and encoding are inverse to each other.
func FuzzFileCaps(f *testing.F) {
	for _, test := range fileCapsTests {
		value, err := hex.DecodeString(test.value)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		caps, e := cred.ParseFileCaps(value)
		if e != 0 {
			return
		}
		encoded := caps.Append(nil)
		again, e := cred.ParseFileCaps(encoded)
		if again != caps || e != 0 {
			t.Fatalf("%x: %+v, then %+v, %v", value, caps, again, e)
		}
		if len(value) == len(encoded) && !bytes.Equal(value, encoded) {
			t.Fatalf("%x became %x", value, encoded)
		}
	})
}
