package program

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestReadLayout(t *testing.T) {
	trailer := func(n int) string { return fmt.Sprintf("%s%014d\n", magic, n) }
	for _, tt := range []struct {
		content string
		want    layout // zero: an error
	}{
		{"main", layout{4, 4}},
		{strings.Repeat("m", 100), layout{100, 100}},
		{"main" + "image" + trailer(4), layout{4, 9}},
		{"main" + trailer(4), layout{}},
		{"main" + trailer(400), layout{}},
		{"main" + "image" + trailer(0), layout{}},
		{"main" + "image" + magic + "0000000000000x\n", layout{}},
	} {
		got, err := readLayout(strings.NewReader(tt.content), int64(len(tt.content)))
		switch {
		case tt.want == layout{}:
			if err == nil {
				t.Errorf("%q: %v, want an error", tt.content, got)
			}
		case err != nil || got != tt.want:
			t.Errorf("%q: %v, %v; want %v", tt.content, got, err, tt.want)
		}
	}
}

// Both kinds of copies have the wanted bytes, and can be executed.
func TestCopies(t *testing.T) {
	name, err := exec.LookPath("true")
	if err != nil {
		t.Skip(err)
	}
	self, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	want, err := io.ReadAll(self)
	if err != nil {
		t.Fatal(err)
	}
	anonymous, err := executableMemfd("test")
	if err == nil {
		err = fill(anonymous, self, 0, int64(len(want)))
	}
	if err != nil {
		t.Fatal(err)
	}
	temporary, err := temporaryProgram(self, 0, int64(len(want)))
	if err != nil {
		t.Fatal(err)
	}
	for kind, f := range map[string]*os.File{"memfd": anonymous, "temporary file": temporary} {
		defer f.Close()
		got, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<40))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("the %s has %d bytes (%v), want %d", kind, len(got), err, len(want))
		}
		if out, err := exec.Command(fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd())).CombinedOutput(); err != nil {
			t.Errorf("executing the %s: %v %s", kind, err, out)
		}
	}
	if _, err := anonymous.WriteAt([]byte("x"), 0); err == nil {
		t.Error("the memfd can be written")
	}
}

// What go build or go test makes has no image program.
func TestIncomplete(t *testing.T) {
	if err := ExecImage(); err != ErrIncomplete {
		t.Errorf("ExecImage: %v, want %v", err, ErrIncomplete)
	}
}
