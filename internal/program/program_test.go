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

// executeVar has the test program execute itself in place, as an image program.
const executeVar = "SUBUIDLESS_TEST_EXECUTE"

// The test program is also the main program: it shows what it inherits.
func TestMain(m *testing.M) {
	if f := Inherited(); f != nil {
		comm, err := os.ReadFile("/proc/self/comm")
		if err == nil {
			fmt.Printf("%s%s %q ", comm, os.Args[1:], os.Getenv(variable))
			_, err = io.Copy(os.Stdout, f)
		}
		if err != nil {
			fmt.Println(err)
		}
		os.Exit(0)
	}
	if os.Getenv(executeVar) != "" {
		main, input, err := testMain()
		if err == nil {
			err = main.Exec(input)
		}
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// testMain returns the test program as the main program, and a file with the text "input".
func testMain() (Main, *os.File, error) {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return Main{}, nil, err
	}
	input, err := Memfd("input", 0)
	if err == nil {
		_, err = input.WriteString("input")
	}
	if err == nil {
		_, err = input.Seek(0, io.SeekStart)
	}
	return Main{self}, input, err
}

// The main program gets the arguments and the input, as a child and in place.
func TestMainProgram(t *testing.T) {
	const want = "subuidless\n[a b] \"\" input"
	main, input, err := testMain()
	if err != nil {
		t.Fatal(err)
	}
	child := main.Command(input)
	child.Args = []string{"subuidless", "a", "b"}
	if out, err := child.CombinedOutput(); err != nil || string(out) != want {
		t.Errorf("as a child: %q, %v; want %q", out, err, want)
	}
	inPlace := exec.Command("/proc/self/exe", "a", "b")
	inPlace.Env = append(os.Environ(), executeVar+"=1")
	if out, err := inPlace.CombinedOutput(); err != nil || string(out) != want {
		t.Errorf("in place: %q, %v; want %q", out, err, want)
	}
}

// If another file has the name of the main program by now, its descriptor is executed.
func TestMainPath(t *testing.T) {
	name := t.TempDir() + "/program"
	if err := os.WriteFile(name, []byte("old"), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	main := Main{f}
	if got := main.path(); got != name {
		t.Errorf("the path is %s, want %s", got, name)
	}
	if err := os.Rename(name, name+".old"); err != nil {
		t.Fatal(err)
	}
	if got := main.path(); got != name+".old" {
		t.Errorf("after it has been renamed: the path is %s, want %s.old", got, name)
	}
	if err := os.Remove(name + ".old"); err != nil {
		t.Fatal(err)
	}
	if got, want := main.path(), fmt.Sprintf("/proc/self/fd/%d", f.Fd()); got != want {
		t.Errorf("after it has been removed: the path is %s, want %s", got, want)
	}
}

// What go build or go test makes has no image program.
func TestIncomplete(t *testing.T) {
	if err := ExecImage(); err != ErrIncomplete {
		t.Errorf("ExecImage: %v, want %v", err, ErrIncomplete)
	}
}
