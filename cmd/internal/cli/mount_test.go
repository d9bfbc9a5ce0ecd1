package cli

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rootless-containers/subuidless/internal/launch"
)

func TestMountFlags(t *testing.T) {
	var o launch.RunOptions
	f := mountFlags{
		tmpfs: []string{"/run", "/tmp/:size=64m,mode=1770,exec,ro"},
		mounts: []string{
			"type=bind,src=/,dst=/host,readonly", "type=tmpfs,target=/t,tmpfs-size=1k,tmpfs-mode=700", "source=data,target=/data,ro=true", "target=/own", "type=volume,src=v,target=/v",
		},
	}
	if err := f.apply(&o); err != nil {
		t.Fatal(err)
	}
	want := []launch.Mount{
		{Tmpfs: true, NoExec: true, Target: "/run"},
		{Tmpfs: true, Target: "/tmp", Size: 64 << 20, Mode: 0o1770, Readonly: true},
		{Source: "/", Target: "/host", NoExec: true, Readonly: true},
		{Tmpfs: true, NoExec: true, Target: "/t", Size: 1024, Mode: 0o700},
	}
	if !reflect.DeepEqual(o.Mounts, want) {
		t.Errorf("mounts %+v, want %+v", o.Mounts, want)
	}
	if want := []string{"data:/data:ro", "/own", "v:/v"}; !reflect.DeepEqual(o.Volumes, want) {
		t.Errorf("volumes %q, want %q", o.Volumes, want)
	}
	for text, want := range map[string]string{
		"":                              "unknown option",
		"type=bind,target=/x":           "needs source",
		"type=bind,src=/no/such,dst=/x": "on the host",
		"type=tmpfs":                    "target=DST is missing",
		"type=tmpfs,target=x":           "absolute path",
		"type=tmpfs,target=/":           "below /",
		"type=tmpfs,target=/x,src=y":    "has no source",
		"type=npipe,target=/x":          "must be bind, volume or tmpfs",
		"source=/x,target=/x":           "use type=bind for paths",
		"target=/x,tmpfs-size=1":        "need type=tmpfs",
		"target=/x,readonly=maybe":      "invalid syntax",
	} {
		if err := (&mountFlags{mounts: []string{text}}).apply(&o); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--mount "+text) {
			t.Errorf("--mount %s: %v, want %q", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"x": "absolute path", "/x:size=0": "not a size", "/x:size=1x": "not a size", "/x:size=99999999t": "not a size", "/x:mode=8": "not a mode", "/x:suid": "unknown option",
	} {
		if err := (&mountFlags{tmpfs: []string{text}}).apply(&o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("--tmpfs %s: %v, want %q", text, err, want)
		}
	}
}

func TestReadFiles(t *testing.T) {
	name := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(name, []byte("\ufeff# comment\n\nA=1\r\n  B= x \"y\" # z\nPASSED\nC="), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := ReadFiles("--env-file", []string{name})
	if want := []string{"A=1", "B= x \"y\" # z", "PASSED", "C="}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	for content, want := range map[string]string{"A=1\n=2\n": name + `:2: "" is not the name`, "A B=1": `:1: "A B"`} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadFiles("--env-file", []string{name}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", content, err, want)
		}
	}
}
