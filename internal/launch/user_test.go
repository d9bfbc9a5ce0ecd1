package launch

import (
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

const (
	passwdFile = "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www:/var/www:/usr/sbin/nologin\nnohome:x:50:50:::\n"
	groupFile  = "root:x:0:\nadm:x:4:www-data\nwww-data:x:33:\nstaff:x:60:\n"
)

func TestResolveUser(t *testing.T) {
	for spec, want := range map[string]account{
		"":               {UID: 0, GID: 0, Home: "/root"},
		"root":           {UID: 0, GID: 0, Home: "/root"},
		"0":              {UID: 0, GID: 0, Home: "/root"},
		"www-data":       {UID: 33, GID: 33, AdditionalGids: []int{4}, Home: "/var/www"},
		"33":             {UID: 33, GID: 33, AdditionalGids: []int{4}, Home: "/var/www"},
		"www-data:staff": {UID: 33, GID: 60, Home: "/var/www"},
		"33:61":          {UID: 33, GID: 61, Home: "/var/www"},
		"1234":           {UID: 1234, GID: 0, Home: "/"},
		"1234:5678":      {UID: 1234, GID: 5678, Home: "/"},
		":staff":         {UID: 0, GID: 60, Home: "/root"},
		"nohome":         {UID: 50, GID: 50, Home: "/"},
	} {
		got, err := resolveUser(spec, strings.NewReader(passwdFile), strings.NewReader(groupFile))
		if err != nil {
			t.Errorf("resolveUser(%q): %v", spec, err)
			continue
		}
		if len(got.AdditionalGids) == 0 {
			got.AdditionalGids = nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("resolveUser(%q) = %+v, want %+v", spec, got, want)
		}
	}
	for _, spec := range []string{"4294967294", "4294967294:3000000000", "2147483648:0"} {
		uid, gid, _ := strings.Cut(spec, ":")
		got, err := resolveUser(spec, strings.NewReader(passwdFile), strings.NewReader(groupFile))
		if err != nil || strconv.Itoa(got.UID) != uid || gid != "" && strconv.Itoa(got.GID) != gid || got.Home != "/" {
			t.Errorf("resolveUser(%q) = %+v, %v", spec, got, err)
		}
	}
	for _, spec := range []string{"nobody", "root:nogroup", "-1", "4294967295", "3000000000:x", "0:4294967296"} {
		if got, err := resolveUser(spec, strings.NewReader(passwdFile), strings.NewReader(groupFile)); err == nil {
			t.Errorf("resolveUser(%q) = %+v, want an error", spec, got)
		}
	}
}

func TestLookUpUser(t *testing.T) {
	rootfs := t.TempDir()
	files := tree{rootfs, func(name string, flags uint64) (*os.File, error) { return openInRootfs(rootfs, name, flags) }}
	if _, err := lookUpUser(files, "root", nil); err == nil {
		t.Error("a name was found in a rootfs without /etc/passwd")
	}
	if got, err := lookUpUser(files, "0:0", nil); err != nil || got.Home != "/root" {
		t.Errorf("0:0 in a rootfs without /etc/passwd: %+v, %v", got, err)
	}
	// A symbolic link is resolved within the rootfs.
	if err := os.MkdirAll(filepath.Join(rootfs, "etc/alternatives"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(rootfs, "etc/alternatives/passwd"), []byte(passwdFile), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/alternatives/passwd", filepath.Join(rootfs, "etc/passwd")); err != nil {
		t.Fatal(err)
	}
	if got, err := lookUpUser(files, "www-data", nil); err != nil || got.UID != 33 || got.GID != 33 {
		t.Errorf("www-data: %+v, %v; want 33:33", got, err)
	}
}
