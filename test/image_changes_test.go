package test

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/rootless-containers/subuidless/internal/image/layer"
)

// changeOwned makes files of every type, with owners, from the files of ownerEntries.
const changeOwned = `set -e
rm -r /o/1000; rm /o/33/file; mkdir /o/1000; chown 6:7 /o/1000; echo new >/o/1000/new; chown 4294967294:3000000000 /o/1000/new
chmod 4711 /o/101/setuid; ln -s away /o/1000/link; chown -h 8:9 /o/1000/link; mkfifo /o/1000/fifo; chown 10:11 /o/1000/fifo
mknod /o/1000/zero c 1 5; chown 12:13 /o/1000/zero; ln /o/1000/new /o/1000/hard; chown 14:15 /o/0/closed; chmod 0 /o/0/empty`

// closedDir returns a temporary directory, for directories of any mode.
func closedDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() {
		if err := layer.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestImageCommit makes images of containers, however their root file system is made, and compares
// what their containers see.
func TestImageCommit(t *testing.T) {
	needs(t, "umoci")
	reg := startRegistry(t)
	image := reg.push(t, "base", imageOf(t, v1.Config{Env: []string{"A=1"}, Labels: map[string]string{"base": "yes"}},
		append(busyboxLayer(t), entry{Header: tar.Header{Name: "bin/mkfifo", Typeflag: tar.TypeSymlink, Linkname: "busybox"}},
			entry{Header: tar.Header{Name: "bin/mknod", Typeflag: tar.TypeSymlink, Linkname: "busybox"}}, entry{Header: tar.Header{Name: "bin/chmod", Typeflag: tar.TypeSymlink, Linkname: "busybox"}}),
		ownerEntries()))
	store := imageStore(t)
	subuidless(t, "pull", "-q", store, image)
	list := []string{"find", "/o", "-exec", "stat", "-c", statFormat + " %h %Y", "{}", "+"}
	for _, driver := range []string{"overlay", "copy"} {
		t.Run(driver, func(t *testing.T) {
			c, committed := "changed-"+driver, reg.host+"/committed:"+driver
			subuidless(t, "run", store, "--storage-driver="+driver, "--name="+c, "-e", "B=2", "-u", "0", image, "sh", "-c", changeOwned)
			changes := subuidless(t, "diff", store, c)
			for _, want := range []string{"C /o/1000", "A /o/1000/new", "D /o/33/file", "C /o/101/setuid", "C /o/0/closed", "C /o/0/empty"} {
				if !slices.Contains(strings.Split(changes, "\n"), want) {
					t.Errorf("diff has no %q:\n%s", want, changes)
				}
			}
			for _, never := range []string{"/dev", "/proc", "/o/101/file", "/etc/hosts"} {
				if strings.Contains(changes, never+"\n") {
					t.Errorf("diff has %s:\n%s", never, changes)
				}
			}
			// The same container, to see what it sees now.
			export := exec.Command("sh", "-c", "subuidless export "+store+" "+c+" | tar -tvf - --numeric-owner | grep -v ' \\(dev\\|proc\\|sys\\|etc\\)/'")
			exported, err := export.CombinedOutput()
			if err != nil {
				t.Fatalf("export: %v\n%s", err, exported)
			}
			id := strings.TrimSpace(subuidless(t, "commit", store, "-a", "me", "-m", "message", "--change", `CMD ["ls", "/o"]`, "--change", "LABEL new=x", c, committed))
			subuidless(t, "push", "-q", store, committed)
			subuidless(t, "rm", store, c)
			subuidless(t, "rmi", store, committed)
			subuidless(t, "pull", "-q", store, committed)

			var seen []struct {
				Id, Author string //nolint:revive // docker's names
				Config     v1.Config
				History    []v1.History
			}
			if err := json.Unmarshal([]byte(subuidless(t, "inspect", store, committed)), &seen); err != nil {
				t.Fatal(err)
			}
			config := seen[0].Config
			if seen[0].Id != id || seen[0].Author != "me" || !slices.Equal(config.Env, []string{"A=1", "B=2"}) || !slices.Equal(config.Cmd, []string{"ls", "/o"}) ||
				config.User != "0" || config.Labels["base"] != "yes" || config.Labels["new"] != "x" || seen[0].History[len(seen[0].History)-1].Comment != "message" {
				t.Errorf("inspect: %+v", seen[0])
			}
			want := []string{
				"/o/1000 6:7 755 0,0 directory", "/o/1000/fifo 10:11 644 0,0 fifo 1",
				"/o/1000/hard 4294967294:3000000000 644 0,0 regular file 2", "/o/1000/link 8:9 777 0,0 symbolic link 1",
				"/o/1000/new 4294967294:3000000000 644 0,0 regular file 2", "/o/1000/zero 12:13 644 1,5 character special file 1",
			}
			for _, e := range wantStat(ownerEntries()) {
				e = strings.Replace(e, "/o/0/closed 0:1", "/o/0/closed 14:15", 1)
				e = strings.Replace(e, "/o/0/empty 0:1 600", "/o/0/empty 0:1 0", 1)
				e = strings.Replace(e, "/o/101/setuid 101:102 4755", "/o/101/setuid 101:102 4711", 1)
				if !strings.HasPrefix(e, "/o/1000") && !strings.HasPrefix(e, "/o/33/file ") {
					want = append(want, e)
				}
			}
			var got []string
			for _, line := range sortedLines(subuidless(t, append([]string{"run", "--rm", store, committed}, list...)...)) {
				fields := strings.Fields(line)
				fields = fields[:len(fields)-1]           // the time
				if !strings.HasPrefix(line, "/o/1000/") { // the number of links depends on the file system
					fields = fields[:len(fields)-1]
				}
				got = append(got, strings.Join(fields, " "))
			}
			diffLines(t, driver, got, want)
			again := exec.Command("sh", "-c", "subuidless create "+store+" --name=again-"+driver+" "+committed+" && subuidless export "+store+" again-"+driver+" | tar -tvf - --numeric-owner | grep -v ' \\(dev\\|proc\\|sys\\|etc\\)/'")
			out, err := again.Output()
			if err != nil {
				t.Fatal(err)
			}
			_, now, _ := strings.Cut(string(out), "\n")
			diffLines(t, "export", sortedLines(now), sortedLines(string(exported)))

			ref, err := name.ParseReference(committed)
			if err != nil {
				t.Fatal(err)
			}
			img, err := remote.Image(ref)
			if err == nil {
				err = validate.Image(img)
			}
			if err != nil {
				t.Error(err)
			}
			dir := closedDir(t)
			layout := filepath.Join(dir, "layout")
			subuidless(t, "push", store, committed, "oci:"+layout+":tag")
			if out, err := exec.Command("umoci", "unpack", "--rootless", "--image", layout+":tag", filepath.Join(dir, "bundle")).CombinedOutput(); err != nil {
				t.Errorf("umoci: %v\n%s", err, out)
			}
		})
	}
	if got := fails(t, "commit", store, "--change", "RUN x", "again-copy"); !strings.Contains(got, "RUN is not supported") {
		t.Errorf("a change that is not supported: %s", got)
	}
}

// TestImageCopyFiles copies files between the host and containers, as docker cp does.
func TestImageCopyFiles(t *testing.T) {
	store := backgroundStore(t, v1.Config{}, ownerEntries())
	subuidless(t, "run", "-d", store, "--name=c", "-v", "data:/data", "box", "sleep", "1000")
	host := closedDir(t)
	if err := os.MkdirAll(filepath.Join(host, "dir", "sub"), 0o750); err != nil {
		t.Fatal(err)
	}
	for file, mode := range map[string]os.FileMode{"file": 0o604, "dir/sub/inner": 0o755} {
		if err := os.WriteFile(filepath.Join(host, file), []byte(file), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("sub/inner", filepath.Join(host, "dir", "link")); err != nil {
		t.Fatal(err)
	}
	mine := fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())
	show := func(file string) string {
		return strings.TrimSpace(subuidless(t, "exec", store, "c", "stat", "-c", "%u:%g %a %F", file))
	}
	for _, running := range []bool{true, false} {
		if !running {
			subuidless(t, "kill", store, "c")
		}
		tag := fmt.Sprintf("/tmp/%v", running)
		subuidless(t, "cp", store, filepath.Join(host, "file"), "c:"+tag)
		subuidless(t, "cp", store, "-a", filepath.Join(host, "file"), "c:"+tag+"-a")
		subuidless(t, "cp", store, filepath.Join(host, "dir"), "c:"+tag+"-dir")
		subuidless(t, "cp", store, filepath.Join(host, "dir"), "c:"+tag+"-dir")
		subuidless(t, "cp", store, filepath.Join(host, "dir")+"/.", "c:/o/33/sticky")
		out := filepath.Join(host, fmt.Sprintf("out-%v", running))
		subuidless(t, "cp", store, "c:/o/33", out)
		if st, err := os.Stat(out + "/setuid"); err != nil || st.Mode() != os.ModeSetuid|0o755 {
			t.Errorf("a file on the host: %v, %v", st, err)
		}
		if b, err := os.ReadFile(out + "/hard"); err != nil || string(b) != "content" {
			t.Errorf("a file on the host: %q, %v", b, err)
		}
		if link, err := os.Readlink(out + "/link"); err != nil || link != "/no/where" {
			t.Errorf("a link on the host: %q, %v", link, err)
		}
		if got := fails(t, "cp", store, "c:/no/such", host); !strings.Contains(got, "has no file /no/such") {
			t.Errorf("a file that does not exist: %s", got)
		}
		if got := fails(t, "cp", store, filepath.Join(host, "file"), "c:/no/such"); !strings.Contains(got, "does not exist") {
			t.Errorf("a directory that does not exist: %s", got)
		}
		if got := fails(t, "cp", store, filepath.Join(host, "dir"), "c:/etc/passwd"); !strings.Contains(got, "is not a directory") {
			t.Errorf("a directory onto a file: %s", got)
		}
		// Archives keep their owners, in both directions.
		get := command(t, "subuidless", "cp", store, "c:/o/101", "-")
		put := command(t, "subuidless", "cp", store, "-", "c:/tmp")
		r, w := io.Pipe()
		get.Stdout, put.Stdin, put.Stderr, get.Stderr = w, r, os.Stderr, os.Stderr
		if err := put.Start(); err != nil {
			t.Fatal(err)
		}
		err := get.Run()
		w.Close()
		if err != nil {
			t.Error(err)
		}
		if err := put.Wait(); err != nil {
			t.Error(err)
		}
		if !running {
			subuidless(t, "start", store, "c")
		}
		for file, want := range map[string]string{
			tag: "0:0 604 regular file", tag + "-a": mine + " 604 regular file", tag + "-dir": "0:0 750 directory", tag + "-dir/link": "0:0 777 symbolic link",
			tag + "-dir/sub/inner": "0:0 755 regular file", tag + "-dir/dir/sub": "0:0 750 directory", "/o/33/sticky/sub/inner": "0:0 755 regular file",
			"/tmp/101/setuid": "101:102 4755 regular file", "/tmp/101/fifo": "101:102 640 fifo", "/tmp/101/console": "101:102 620 character special file",
		} {
			if got := show(file); got != want {
				t.Errorf("running %v: %s is %q, want %q", running, file, got, want)
			}
		}
		subuidless(t, "exec", store, "c", "rm", "-r", "/tmp/101")
	}
	// A volume, and a link that would lead out of the container.
	subuidless(t, "cp", store, filepath.Join(host, "file"), "c:/data/")
	subuidless(t, "exec", store, "c", "ln", "-s", "/../../../../../../../etc", "/tmp/out")
	subuidless(t, "cp", store, filepath.Join(host, "file"), "c:/tmp/out/copied")
	if got := show("/data/file") + show("/etc/copied"); got != "0:0 604 regular file0:0 604 regular file" {
		t.Errorf("in a volume, and through a link: %q", got)
	}
	subuidless(t, "exec", store, "c", "ln", "-s", "/etc/passwd", "/tmp/leak")
	subuidless(t, "cp", store, "-L", "c:/tmp/leak", filepath.Join(host, "leak"))
	if b, err := os.ReadFile(filepath.Join(host, "leak")); err != nil || !strings.Contains(string(b), "www-data") {
		t.Errorf("through a link: %q, %v", b, err)
	}
}

// TestImageVolumes shares named volumes between containers.
func TestImageVolumes(t *testing.T) {
	store := backgroundStore(t, v1.Config{}, ownerEntries())
	run := func(args ...string) string { return subuidless(t, append([]string{"run", "--rm", store}, args...)...) }
	if got := run("-v", "named:/o/33", "box", "sh", "-c", "stat -c %u:%g /o/33 /o/33/file /o/33/disk; chown 5:6 /o/33/file"); got != "33:34\n33:34\n33:34\n" {
		t.Errorf("a new volume has %q", got)
	}
	if got := run("-v", "named:/x:ro", "box", "sh", "-c", "stat -c %u:%g /x /x/file; touch /x/y 2>&1 || echo read-only"); got != "33:34\n5:6\ntouch: /x/y: Read-only file system\nread-only\n" {
		t.Errorf("the volume in another container has %q", got)
	}
	if got := run("-v", "/anonymous", "box", "stat", "-c", "%F", "/anonymous"); got != "directory\n" {
		t.Errorf("a volume without a name: %q", got)
	}
	for _, bad := range []string{"a b:/x", "named:x", "named:/", "named:/x:odd", "/no/such:/x", "x"} {
		fails(t, "run", "--rm", store, "-v", bad, "box", "true")
	}
	subuidless(t, "volume", "create", store, "--label=a=b", "unused")
	subuidless(t, "create", store, "--name=user", "-v", "named:/x", "box", "true")
	if got := subuidless(t, "volume", "ls", "-q", store); got != "named\nunused\n" {
		t.Errorf("volume ls: %q", got)
	}
	if got := subuidless(t, "volume", "inspect", store, "-f", `{{.Name}} {{index .Labels "a"}}`, "unused"); got != "unused b\n" {
		t.Errorf("volume inspect: %q", got)
	}
	if got := fails(t, "volume", "rm", store, "named"); !strings.Contains(got, "container user uses it") {
		t.Errorf("volume rm of one in use: %s", got)
	}
	if got := subuidless(t, "volume", "prune", "-f", store); got != "Deleted volume: unused\n" {
		t.Errorf("volume prune: %q", got)
	}
	if got := subuidless(t, "prune", "-f", "--volumes", store); !strings.Contains(got, "Deleted volume: named\n") {
		t.Errorf("prune --volumes: %s", got)
	}
}
