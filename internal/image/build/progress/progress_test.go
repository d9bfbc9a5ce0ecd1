package progress

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPlain shows steps whose output mixes.
func TestPlain(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, err := New(Auto, f) // a file is no terminal
	if err != nil {
		t.Fatal(err)
	}
	one, two := d.Start("[1/2] RUN one"), d.Start("[2/2] RUN two")
	write := func(s *Step, text string) {
		if _, err := s.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	write(one, "a\nb")
	write(two, "c\n")
	write(one, "d\n")
	one.Done(nil)
	two.Done(errors.New("it failed\nc"))
	d.Start("[3/3] COPY").Cached()
	d.Message("warning: x")
	d.Close()
	got, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	want := `#1 [1/2] RUN one

#2 [2/2] RUN two

#1 [1/2] RUN one
#1 TIME a

#2 [2/2] RUN two
#2 TIME c

#1 [1/2] RUN one
#1 TIME bd
#1 DONE TIMEs

#2 [2/2] RUN two
#2 ERROR: it failed

#3 [3/3] COPY
#3 CACHED

warning: x
`
	if text := regexp.MustCompile(`\d+\.\d+`).ReplaceAllString(string(got), "TIME"); text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	if last := strings.Join(one.Last(), "|"); last != "a|bd" {
		t.Errorf("the last lines are %q", last)
	}
}

func TestModes(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for mode, ok := range map[string]bool{Auto: true, Plain: true, Quiet: true, TTY: false, "nothing": false} {
		if _, err := New(mode, f); (err == nil) != ok {
			t.Errorf("%s: %v", mode, err)
		}
	}
}

// TestPrintable removes what would move the cursor.
func TestPrintable(t *testing.T) {
	for line, want := range map[string]string{
		"plain": "plain", "a\tb": "a b", "10%\r20%\r": "20%", "\x1b[31mred\x1b[0m": "red", "\x1b[2K\x1b[1Aup": "up", "bell\a\x08": "bell", "\x1b[": "", "ü☃": "ü☃",
	} {
		if got := printable(line); got != want {
			t.Errorf("printable(%q) = %q, want %q", line, got, want)
		}
	}
}
