package build

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/build/files"
)

func TestParseOwner(t *testing.T) {
	read := func(name string) ([]byte, error) {
		switch name {
		case "etc/passwd":
			return []byte("root:x:0:0::/:\nwww:x:33:34::/:\nodd:x:many:1::/:\nshort:x\n"), nil
		case "etc/group":
			return []byte("root:x:0:\nweb:x:35:www"), nil
		}
		return nil, unix.ENOENT
	}
	for text, want := range map[string]files.Owner{
		"www": {UID: 33, GID: 34}, "www:web": {UID: 33, GID: 35}, "www:99": {UID: 33, GID: 99}, "7": {UID: 7, GID: 7}, "7:8": {UID: 7, GID: 8}, "7:web": {UID: 7, GID: 35},
		":8": {GID: 8}, "www:": {UID: 33, GID: 34}, "4294967294:0": {UID: 4294967294},
	} {
		if got, err := parseOwner(text, read); err != nil || *got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"none": "/etc/passwd of the image has no none", "www:none": "/etc/group of the image has no none", "4294967295": "not a valid id", "1:4294967295": "not a valid id",
		"odd": "no valid ids", "short": "no short", "": "has no ", "99999999999": "not a valid id",
	} {
		if got, err := parseOwner(text, read); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want %q", text, got, err, want)
		}
	}
	if _, err := parseOwner("name", func(string) ([]byte, error) { return nil, unix.ENOENT }); err == nil {
		t.Error("a name without /etc/passwd has an owner")
	}
}

func TestParseOutput(t *testing.T) {
	for text, want := range map[string]string{
		"type=oci,dest=x": "{oci x}", "type=docker": "{docker -}", "type=tar,dest=-": "{tar -}", "type=local,dest=d": "{local d}", "dir": "{local dir}", "-": "{tar -}",
	} {
		if got, err := ParseOutput(text); err != nil || fmt.Sprint(*got) != want {
			t.Errorf("%s: %v, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"type=registry", "type=local", "type=local,dest=-", "dest=x", "type=oci,compression=zstd"} {
		if got, err := ParseOutput(text); err == nil {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestError(t *testing.T) {
	err := &RunError{Args: []string{"/bin/sh", "-c", "a \\\n  b" + strings.Repeat("x", 300)}, Status: 3, Last: []string{"one", "two"}}
	text := err.Error()
	if !strings.HasPrefix(text, `the command "/bin/sh -c a \\ bxxx`) || !strings.HasSuffix(text, "...\" failed with exit status 3\n  | one\n  | two") || strings.Count(text, "\n") != 2 {
		t.Errorf("%s", text)
	}
}
