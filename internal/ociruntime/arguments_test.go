package ociruntime

import (
	"strings"
	"testing"
	"time"
)

func TestArguments(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"--root /r --log=/l --log-format json --systemd-cgroup create --bundle /b --pid-file=/p x", "--root=/r --log=/l --log-format=json --cgroup-manager=disabled create --pid-file=/p --bundle=/s x"},
		{"--root=/r --debug --rootless=auto run -d -b/b --preserve-fds 3 x", "--root=/r --debug --cgroup-manager=disabled run --detach --preserve-fds=3 --bundle=/s x"},
		{"--root=/r create x --bundle /b", "--root=/r --cgroup-manager=disabled create --bundle=/s x"},
		{"--root=/r exec -e A=1 -e B=2 -t x sh -c y", "--root=/r --cgroup-manager=disabled exec --env=A=1 --env=B=2 --tty --bundle=/s x sh -c y"},
	} {
		g, rest, err := parseGlobals(strings.Fields(test.in))
		if err != nil {
			t.Errorf("%s: %v", test.in, err)
			continue
		}
		c, err := parseCommand(rest[0], rest[1:])
		if err != nil {
			t.Errorf("%s: %v", test.in, err)
			continue
		}
		r := runtime{globals: g, backend: backend{kind: crun}}
		got := strings.Join(r.arguments(false, c.arguments([]string{"bundle"}, []string{"--bundle=/s"})...), " ")
		if got != test.want {
			t.Errorf("%s\n got %s\nwant %s", test.in, got, test.want)
		}
	}
	r := runtime{globals: globals{root: "/r", systemdCgroup: true}, backend: backend{kind: runc}}
	if got := strings.Join(r.arguments(true), " "); got != "--root=/r --systemd-cgroup" {
		t.Errorf("with cgroups: %s", got)
	}
	if got := strings.Join(r.arguments(false), " "); got != "--root=/r --rootless=true" {
		t.Errorf("without cgroups: %s", got)
	}
}

func TestReplacePadded(t *testing.T) {
	const shadow = "/run/R.subuidless/1234"
	text := "ID  BUNDLE                  OWNER\nx   " + shadow + "  root\ny   " + shadow + "\n"
	want := "ID  BUNDLE                  OWNER\nx   /b                      root\ny   /b\n"
	if got := replacePadded(text, shadow, "/b"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := replacePadded("x "+shadow+" root\n", shadow, "/a/bundle/whose/path/is/long"); got != "x /a/bundle/whose/path/is/long root\n" {
		t.Errorf("got %q", got)
	}
}

func TestFormatLog(t *testing.T) {
	now := time.Date(2026, 11, 27, 1, 2, 3, 4000, time.UTC)
	for _, test := range []struct {
		format string
		kind   kind
		want   string
	}{
		{"json", crun, `{"level":"error","msg":"a \"b\"","time":"2026-11-27T01:02:03.000004Z"}`},
		{"text", runc, `time="2026-11-27T01:02:03Z" level=error msg="a \"b\""`},
		{"", crun, `2026-11-27T01:02:03.000004Z: a "b"`},
	} {
		r := runtime{globals: globals{logFormat: test.format}, backend: backend{kind: test.kind}}
		if got := r.formatLog("error", `a "b"`, now); got != test.want+"\n" {
			t.Errorf("got %swant %s", got, test.want)
		}
	}
}

func TestCommonAncestor(t *testing.T) {
	for _, test := range [][3]string{
		{"/c/a/b", "/c/a/x/y", "/c/a"},
		{"/c/a", "/c/a", "/c/a"},
		{"/c/a", "/c/ab", "/c"},
		{"/a", "/b", "/"},
	} {
		if got := commonAncestor(test[0], test[1]); got != test[2] {
			t.Errorf("commonAncestor(%s, %s) = %s, want %s", test[0], test[1], got, test[2])
		}
	}
}
