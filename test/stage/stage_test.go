package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// shown returns what a report shows of the lines of a stage.
func shown(ok bool, lines ...string) string {
	var screen strings.Builder
	r := newReport(&screen, "tests")
	for _, line := range lines {
		r.line([]byte(line))
	}
	r.finish(ok, 1500*time.Millisecond)
	return screen.String()
}

func TestReport(t *testing.T) {
	for name, test := range map[string]struct {
		lines []string
		ok    bool
		want  string
	}{
		"nothing to say": {[]string{"installing"}, true, "tests ... ok 1.5s\n"},
		"last lines of a failure": {[]string{"installing", "no space"}, false,
			"tests ...\ninstalling\nno space\ntests ... FAILED 1.5s\n"},
		"passed": {[]string{
			`{"Action":"run","Package":"p","Test":"TestA"}`,
			`{"Action":"output","Package":"p","Test":"TestA","Output":"noise\n"}`,
			`{"Action":"pass","Package":"p","Test":"TestA"}`,
			`{"Action":"output","Package":"p","Output":"PASS\n"}`,
			`{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}`,
			`{"Action":"pass","Package":"p"}`,
		}, true, "tests ...\nok  \tp\t0.1s\ntests ... ok 1.5s (1 passed, 0 skipped)\n"},
		"failed": {[]string{
			`{"Action":"run","Package":"p","Test":"TestA"}`,
			`{"Action":"run","Package":"p","Test":"TestA/b"}`,
			`{"Action":"output","Package":"p","Test":"TestA/b","Output":"    a_test.go:1: wrong\n"}`,
			`{"Action":"fail","Package":"p","Test":"TestA/b"}`,
			`{"Action":"fail","Package":"p","Test":"TestA"}`,
			`{"Action":"output","Package":"p","Output":"FAIL\n"}`,
			`{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}`,
			`{"Action":"fail","Package":"p"}`,
		}, false, "tests ...\n    a_test.go:1: wrong\nFAIL\tp\t0.1s\n" +
			"FAIL: p TestA/b\nFAIL: p TestA\ntests ... FAILED 1.5s (0 passed, 0 skipped)\n"},
		"ended by the limit": {[]string{
			`{"Action":"run","Package":"p","Test":"TestA"}`,
			`{"Action":"output","Package":"p","Test":"TestA","Output":"panic: test timed out\n"}`,
			`{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}`,
			`{"Action":"fail","Package":"p"}`,
		}, false, "tests ...\npanic: test timed out\nFAIL\tp\t0.1s\ntests ... FAILED 1.5s\n"},
		"does not compile": {[]string{
			`{"ImportPath":"p","Action":"build-output","Output":"a.go:1: syntax error\n"}`,
			`{"ImportPath":"p","Action":"build-fail"}`,
			`{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}`,
			`{"Action":"fail","Package":"p"}`,
		}, false, "tests ...\nFAIL\tp [build failed]\na.go:1: syntax error\ntests ... FAILED 1.5s\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := shown(test.ok, test.lines...); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

// A stack dump is cut in the middle.
func TestExcerpt(t *testing.T) {
	var lines []string
	for i := range 1000 {
		lines = append(lines, fmt.Sprint(i))
	}
	got := excerpt(lines)
	if len(got) != 2*lastLines+1 || got[0] != "0" || got[len(got)-1] != "999" {
		t.Errorf("%d lines: %q", len(got), got)
	}
}

func TestProgress(t *testing.T) {
	var screen strings.Builder
	r := newReport(&screen, "tests")
	for _, name := range []string{"TestA", "TestA/b", "TestC"} {
		r.line(fmt.Appendf(nil, `{"Action":"run","Package":"p","Test":%q}`, name))
	}
	r.line([]byte(`{"Action":"pass","Package":"p","Test":"TestC"}`))
	r.progress(90 * time.Second)
	if want := "tests ...\n  1m30s: TestA/b (1 passed, 0 skipped)\n"; screen.String() != want {
		t.Errorf("got %q, want %q", screen.String(), want)
	}
}

// A stage that hangs ends at its limit, with the processes that it has started.
func TestLimit(t *testing.T) {
	var screen, log strings.Builder
	s := stage{"hangs", 300 * time.Millisecond, []string{"sh", "-c", "sleep 100; echo went on"}}
	err := s.run(t.Context(), &screen, &log)
	if err == nil || !strings.Contains(err.Error(), "hangs: still running after 300ms") {
		t.Error(err)
	}
	if log.Len() > 0 {
		t.Error(log.String())
	}
}

// An interrupt ends the current stage, and the next one does not run.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	var screen strings.Builder
	err := run(ctx, &screen, []stage{
		{"first", time.Minute, []string{"sleep", "100"}},
		{"second", time.Minute, []string{"true"}},
	})
	if err == nil || strings.Contains(screen.String(), "second") {
		t.Errorf("%v\n%s", err, screen.String())
	}
	_, log, _ := strings.Cut(fmt.Sprint(err), "complete output is in ")
	if err := os.Remove(log); err != nil {
		t.Error(err)
	}
}
