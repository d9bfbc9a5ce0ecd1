package blob

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// builtWith is the first line of gcc --version and ld --version where the code was built.
var builtWith = map[string]string{
	"gcc": "gcc (Debian 12.2.0-14+deb12u1) 12.2.0",
	"ld":  "GNU ld (GNU Binutils for Debian) 2.40",
}

// build compiles the sources, and returns the path of the result.
func build(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"gcc", "ld"} {
		out, err := exec.Command(tool, "--version").Output()
		if err != nil {
			t.Skipf("%s: %v; install gcc and binutils", tool, err)
		}
		if version, _, _ := strings.Cut(string(out), "\n"); version != builtWith[tool] {
			t.Skipf("NOT COMPARED: the code was built with %q, and this is %q", builtWith[tool], version)
		}
	}
	output := filepath.Join(t.TempDir(), "code")
	if out, err := exec.Command("source/build.sh", output).CombinedOutput(); err != nil {
		t.Fatalf("build.sh: %v\n%s", err, out)
	}
	return output
}

func TestCodeIsFresh(t *testing.T) {
	if read(t, build(t)) != string(Code()) {
		t.Error("code.amd64.bin is not what source/build.sh makes of its sources: run source/build.sh code.amd64.bin")
	}
}

func TestHeader(t *testing.T) {
	h, ok := ParseHeader(Code())
	if !ok {
		t.Fatal("there is no header")
	}
	if int(h.Size) != len(Code()) || h.Size%4096 != 0 {
		t.Errorf("the size is %d, that of the code %d", h.Size, len(Code()))
	}
	if h.EndOfSlots != h.Size || h.Slots%4096 != 0 || h.Slots >= h.EndOfSlots {
		t.Errorf("slots from %#x to %#x", h.Slots, h.EndOfSlots)
	}
	if b := Code()[h.Slots:]; !bytes.Equal(b, make([]byte, len(b))) {
		t.Error("the room for slots is not empty")
	}
	if off := Code()[OffOffset : OffOffset+4]; !bytes.Equal(off, make([]byte, 4)) {
		t.Errorf("off is %x", off)
	}
	if before := Code()[h.AfterSlow-2 : h.AfterSlow]; !bytes.Equal(before, []byte{0x0f, 0x05}) {
		t.Errorf("before AfterSlow is %x instead of a syscall instruction", before)
	}
	for name, at := range map[string]uint32{"entry": h.Entry, "common": h.Common, "common for Go": h.CommonGo} {
		if at < AnsweredOffset+64 || at >= h.Slots {
			t.Errorf("%s is at %#x", name, at)
		}
	}
	if _, ok := ParseHeader(make([]byte, HeaderSize)); ok {
		t.Error("zeros are a header")
	}
}

func TestCodeFor(t *testing.T) {
	c := CodeFor([]uint32{0, 262, 511, 512, 1 << 31})
	bits := c[AnsweredOffset : AnsweredOffset+64]
	for nr := range 512 {
		if got, want := bits[nr/8]>>(nr%8)&1 == 1, nr == 0 || nr == 262 || nr == 511; got != want {
			t.Errorf("%d is answered: %v, want %v", nr, got, want)
		}
	}
	copy(bits, make([]byte, 64))
	if !bytes.Equal(c, Code()) {
		t.Error("something else differs")
	}
}
