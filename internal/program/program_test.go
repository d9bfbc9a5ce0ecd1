package program

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReadLayout(t *testing.T) {
	header := strings.Repeat("h", HeaderSize)
	main := header + "main"
	trailer := func(n int64) string { return string(Trailer([]byte(header), n)) }
	for _, tt := range []struct {
		content string
		want    layout // zero: an error
	}{
		{"main", layout{main: 4, image: 4}},
		{strings.Repeat("m", 200), layout{main: 200, image: 200}},
		{main + "image" + trailer(68), layout{68, 73, []byte(header)}},
		{main + trailer(68), layout{}},
		{main + trailer(400), layout{}},
		{main + "image" + trailer(0), layout{}},
		{main + "image" + header + magic + "0000000000000x\n", layout{}},
	} {
		got, err := readLayout(strings.NewReader(tt.content), int64(len(tt.content)))
		switch {
		case tt.want.main == 0:
			if err == nil {
				t.Errorf("%q: %v, want an error", tt.content, got)
			}
		case err != nil || !reflect.DeepEqual(got, tt.want):
			t.Errorf("%q: %v, %v; want %v", tt.content, got, err, tt.want)
		}
	}
}

// A copy has the bytes of the main program, with its own header, and can be executed, but not written.
func TestCopy(t *testing.T) {
	name, err := exec.LookPath("true")
	if err != nil {
		t.Skip(err)
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	joined := filepath.Join(t.TempDir(), "joined")
	content := slices.Concat(make([]byte, HeaderSize), want[HeaderSize:], []byte("image"))
	if err := os.WriteFile(joined, content, 0o600); err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(joined)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	exe, err := executableMemfd("test")
	if errors.Is(err, unix.EACCES) {
		t.Skip("vm.memfd_noexec is 2")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	if err := fill(exe, from, layout{int64(len(want)), int64(len(content)), want[:HeaderSize]}); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(io.NewSectionReader(exe, 0, 1<<40))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the copy has %d bytes (%v), want %d", len(got), err, len(want))
	}
	if out, err := exec.Command(fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), exe.Fd())).CombinedOutput(); err != nil {
		t.Errorf("executing the copy: %v %s", err, out)
	}
	if _, err := exe.WriteAt([]byte("x"), 0); err == nil {
		t.Error("the copy can be written")
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
