package running

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rootless-containers/subuidless/internal/image/storedir"
)

// logged returns a container whose log has these writes, one per second since the epoch.
func logged(t *testing.T, writes ...[2]string) *storedir.Container {
	t.Helper()
	c := &storedir.Container{Name: "c", Dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(c.Dir, "lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := openLog(logPath(c), &c.Settings)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range writes {
		l.write(w[0], []byte(w[1]), time.Unix(int64(i), 0).UTC())
	}
	l.close()
	return c
}

func TestLogs(t *testing.T) {
	c := logged(t, [2]string{"stdout", "one\ntwo\npar"}, [2]string{"stderr", "error\n"}, [2]string{"stdout", "tial\n\n"}, [2]string{"stdout", "end"})
	for _, tt := range []struct {
		o         LogOptions
		out, errs string
	}{
		{LogOptions{Tail: -1}, "one\ntwo\npartial\n\nend", "error\n"},
		{LogOptions{Tail: 0}, "", ""},
		{LogOptions{Tail: 2}, "\nend", ""},
		{LogOptions{Tail: 100, Follow: true}, "one\ntwo\npartial\n\nend", "error\n"},
		{LogOptions{Tail: -1, Since: time.Unix(1, 0), Until: time.Unix(2, 0)}, "tial\n\n", "error\n"},
		{
			LogOptions{Tail: -1, Timestamps: true},
			"1970-01-01T00:00:00Z one\n1970-01-01T00:00:00Z two\n1970-01-01T00:00:00Z partial\n1970-01-01T00:00:02Z \n1970-01-01T00:00:03Z end",
			"1970-01-01T00:00:01Z error\n",
		},
	} {
		var out, errs bytes.Buffer
		o := tt.o
		o.Out, o.Err = &out, &errs
		if err := Logs(c, o); err != nil || out.String() != tt.out || errs.String() != tt.errs {
			t.Errorf("Logs(%+v) = %q, %q, %v; want %q, %q", tt.o, &out, &errs, err, tt.out, tt.errs)
		}
	}
	if err := os.Remove(logPath(c)); err != nil {
		t.Fatal(err)
	}
	if err := Logs(c, LogOptions{}); err == nil || !strings.Contains(err.Error(), "has no log") {
		t.Errorf("without a log: %v", err)
	}
}

// TestLogCut continues a log whose last line a killed monitor has not completed.
func TestLogCut(t *testing.T) {
	c := logged(t, [2]string{"stdout", "whole\n"})
	f, err := os.OpenFile(logPath(c), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("1970-01-01T00:00:01Z stdo"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	l, err := openLog(logPath(c), &c.Settings)
	if err != nil {
		t.Fatal(err)
	}
	l.write("stdout", []byte("more than what was cut\n"), time.Unix(2, 0))
	l.close()
	var out bytes.Buffer
	if err := Logs(c, LogOptions{Tail: -1, Out: &out}); err != nil || out.String() != "whole\nmore than what was cut\n" {
		t.Errorf("got %q, %v", &out, err)
	}
}

// TestLogFull loses output on a full disk, and says so when there is room again.
func TestLogFull(t *testing.T) {
	c := logged(t, [2]string{"stdout", "before\n"})
	l, err := openLog(logPath(c), &c.Settings)
	if err != nil {
		t.Fatal(err)
	}
	good := l.f
	if l.f, err = os.OpenFile("/dev/full", os.O_WRONLY, 0); err != nil {
		t.Fatal(err)
	}
	l.write("stdout", []byte("lost\n"), time.Now())
	l.write("stderr", []byte("lost, too\n"), time.Now())
	l.f.Close()
	l.f = good
	l.write("stdout", []byte("after\n"), time.Now())
	l.close()
	var out, errs bytes.Buffer
	if err := Logs(c, LogOptions{Tail: -1, Out: &out, Err: &errs}); err != nil {
		t.Fatal(err)
	}
	if want := "subuidless: 15 bytes of output are missing here: write /dev/full: no space left on device\n"; out.String() != "before\nafter\n" || errs.String() != want {
		t.Errorf("got %q, %q; want %q", &out, &errs, want)
	}
}

func TestNote(t *testing.T) {
	config := &storedir.HealthCheck{Retries: 2}
	h := &storedir.Health{Status: Starting}
	for i, step := range []struct {
		status  int
		start   bool
		want    string
		failing int
	}{
		{1, true, Starting, 0},
		{1, true, Starting, 0},
		{1, false, Starting, 1},
		{0, false, Healthy, 0},
		{1, false, Healthy, 1},
		{-1, false, Unhealthy, 2},
		{0, false, Healthy, 0},
	} {
		note(h, config, storedir.HealthResult{ExitCode: step.status, Output: fmt.Sprint(i)}, step.start)
		if h.Status != step.want || h.FailingStreak != step.failing {
			t.Errorf("step %d: %s, %d failures; want %s, %d", i, h.Status, h.FailingStreak, step.want, step.failing)
		}
	}
	if len(h.Log) != healthResults || h.Log[0].Output != "2" {
		t.Errorf("the log has %d results, the first one of step %s", len(h.Log), h.Log[0].Output)
	}
}

func TestParseTime(t *testing.T) {
	for text, want := range map[string]time.Time{
		"": {}, "1700000000": time.Unix(1_700_000_000, 0), "2023-11-14T22:13:20Z": time.Unix(1_700_000_000, 0),
		"1700000000.5": time.Unix(1_700_000_000, 500_000_000), "2023-11-14": time.Date(2023, 11, 14, 0, 0, 0, 0, time.Local),
	} {
		if got, err := ParseTime(text); err != nil || !got.Equal(want) {
			t.Errorf("ParseTime(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	if got, err := ParseTime("10m"); err != nil || time.Since(got) < 10*time.Minute || time.Since(got) > 11*time.Minute {
		t.Errorf("ParseTime(10m) = %v, %v", got, err)
	}
	if _, err := ParseTime("yesterday"); err == nil {
		t.Error("ParseTime(yesterday) has no error")
	}
}

// TestLogRotation rotates a log while others follow it, and reads what is left of it.
func TestLogRotation(t *testing.T) {
	c := logged(t)
	c.Settings.LogSize, c.Settings.LogFiles = 1000, 3
	lock, err := c.Lock()
	if err == nil {
		err = lock.Begin()
	}
	if err != nil {
		t.Fatal(err)
	}
	l, err := openLog(logPath(c), &c.Settings)
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	pr, pw := io.Pipe()
	followed := make(chan error, 1)
	go func() {
		err := Logs(c, LogOptions{Tail: -1, Follow: true, Out: pw})
		pw.CloseWithError(err)
		followed <- err
	}()
	const count = 200
	lines := bufio.NewScanner(pr)
	for i := range count {
		line := fmt.Sprintf("line %d\n", i)
		want.WriteString(line)
		l.write("stdout", []byte(line), time.Unix(int64(i), 0))
		if !lines.Scan() || lines.Text()+"\n" != line {
			t.Fatalf("followed %q (%v), want %q", lines.Text(), lines.Err(), line)
		}
	}
	l.close()
	if err := lock.End(0); err != nil {
		t.Fatal(err)
	}
	lock.Unlock()
	if lines.Scan() {
		t.Errorf("followed %q after the end", lines.Text())
	}
	if err := <-followed; err != nil {
		t.Error(err)
	}
	var out bytes.Buffer
	if err := Logs(c, LogOptions{Tail: -1, Out: &out}); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.HasSuffix(want.String(), got) || !strings.HasPrefix(got, "line ") || len(got) < 500 || len(got) > 1500 {
		t.Errorf("the log has %q", got)
	}
	all := strings.SplitAfter(strings.TrimSuffix(out.String(), "\n"), "\n")
	for _, n := range []int{0, 1, 20, len(all), 1000} {
		out.Reset()
		if err := Logs(c, LogOptions{Tail: n, Out: &out}); err != nil || strings.Count(out.String(), "\n") != min(n, len(all)) || !strings.HasSuffix(want.String(), out.String()) {
			t.Errorf("the last %d lines are %q, %v", n, &out, err)
		}
	}
	for n, exists := range []bool{true, true, true, false} {
		st, err := os.Stat(rotatedPath(logPath(c), n))
		if (err == nil) != exists || exists && st.Size() > 1000 {
			t.Errorf("file %d: %v, %v", n, st, err)
		}
	}
}
