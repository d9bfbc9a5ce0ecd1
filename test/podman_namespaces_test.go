package test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPodmanNamespaces runs containers in user namespaces of their own. Podman as a user with
// subordinate ids prints the same, except for the number of ids.
func TestPodmanNamespaces(t *testing.T) {
	needs(t, "busybox", "podman")
	e := newEngine(t)
	e.run("podman", "pull", "-q", e.base())
	me := os.Getuid()
	e.addAccount()
	// crun mounts volumes by open_tree and move_mount, as it would a new tmpfs.
	dir, err := os.MkdirTemp("/dev/shm", "subuidless-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := removeAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(filepath.Join(dir, "mine"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	const all = 1<<32 - 1
	// The identity, the map, and the owners of a file of the image and one of the user.
	const show = "echo $(id -u) $(id -G); echo $(cat /proc/self/uid_map); stat -c %u:%g /owned/33 /volume/mine"
	runs := func(args string, want ...any) {
		t.Helper()
		argv := append([]string{"podman", "run", "--rm", "--network=none", "-v", dir + ":/volume"}, strings.Fields(args)...)
		e.expect(fmt.Sprintf("%v\n%v\n%v\n%v\n", want...), append(argv, e.base(), "sh", "-c", show)...)
	}
	full := fmt.Sprintf("0 0 1 1 1 %d", all-1)
	kept := fmt.Sprintf("0 1 %d %[1]d 0 1 %d %[2]d %d", me, me+1, all-me-1)
	own := fmt.Sprintf("%d:%[1]d", me)
	runs("", "0 0", full, "33:33", "0:0")
	runs("--group-add 101", "0 0 101", full, "33:33", "0:0")
	runs("--group-add 101 --group-add www-data -u 1000:44", "1000 44 33 101", full, "33:33", "0:0")
	runs("--userns=keep-id", fmt.Sprintf("%d %[1]d", me), kept, "33:33", own)
	runs("--userns=keep-id --group-add 101", fmt.Sprintf("%d %[1]d 101", me), kept, "33:33", own)
	runs("--userns=keep-id -u 33", fmt.Sprintf("33 33 %d 26", me), kept, "33:33", own)
	runs("--userns=keep-id:uid=200,gid=210", "200 210", fmt.Sprintf("0 1 200 200 0 1 201 201 %d", all-201), "33:33", "200:210")
	runs("--userns=nomap", "0 0", fmt.Sprintf("0 1 %d", all-1), "33:33", "65534:65534")
	runs("--userns=auto:size=2000", "0 0", "0 1 2000", "33:33", "65534:65534")
	runs("--uidmap 0:0:1 --uidmap 1:1:200 --gidmap 0:0:300", "0 0", "0 0 1 1 1 200", "33:33", "0:0")
	runs("--uidmap 0:1000:100 --gidmap 0:0:100", "0 0", "0 1000 100", "33:33", "65534:0")

	// The life of a container in such a namespace.
	e.run("podman", "run", "-d", "--name", "box", "--userns=keep-id", "--network=none", e.base(), "sleep", "1000")
	e.expect(owned, "podman", "exec", "box", "sh", "-c", showOwned)
	e.expect("33\n", "podman", "exec", "-u", "33", "box", "id", "-u")
	e.run("podman", "exec", "-u", "0", "box", "chown", "5:6", "/owned/33")
	e.run("podman", "cp", "file", "box:/owned/copied")
	e.expect("5:6 "+own+"\n", "podman", "exec", "box", "sh", "-c", "echo $(stat -c %u:%g /owned/33 /owned/copied)")
	e.run("podman", "commit", "-q", "box", "committed")
	e.run("podman", "rm", "-f", "-t", "0", "box")
	e.expect("5:6 "+own+"\n", "podman", "run", "--rm", "--network=none", "committed", "sh", "-c", "echo $(stat -c %u:%g /owned/33 /owned/copied)")
}
