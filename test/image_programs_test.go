package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// TestImagePrograms looks at the processes of a container: all are of the main program, and
// the front is the process that the user has started.
func TestImagePrograms(t *testing.T) {
	reg := startRegistry(t)
	image := reg.push(t, "programs", imageOf(t, v1.Config{}, busyboxLayer(t)))
	store := imageStore(t)
	cmd := command(t, "subuidless", "run", "-q", "--rm", store, image, "sh", "-c", "env; ls -l /proc/self/fd; echo ready; read end")
	in, out := startWithPipes(t, cmd)
	var printed strings.Builder
	for !strings.HasSuffix(printed.String(), "ready\n") {
		line, err := out.ReadString('\n')
		if err != nil {
			t.Fatalf("%v after %q", err, &printed)
		}
		printed.WriteString(line)
	}
	if s := printed.String(); strings.Contains(s, "SUBUIDLESS") || strings.Contains(s, "memfd") {
		t.Errorf("the command has inherited what is for subuidless:\n%s", s)
	}
	front := cmd.Process.Pid
	main, err := os.Stat(work("bin", "subuidless"))
	if err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSpace(subuidless(t, "ps", "-q", "--no-trunc", store))
	checked := 0
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range processes {
		var pid int
		fmt.Sscanf(filepath.Base(dir), "%d", &pid)
		line := commandLine(pid)
		if pid != front && line != "subuidless-keeper "+id && line != "subuidless-worker "+id {
			continue
		}
		checked++
		exe, err := os.Stat(dir + "/exe")
		if err != nil || !os.SameFile(exe, main) {
			t.Errorf("%s: its program is not the main program (%v)", line, err)
		}
	}
	if checked != 3 {
		t.Errorf("found %d of front, keeper and worker", checked)
	}
	if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", front)); err != nil || string(comm) != "subuidless\n" {
		t.Errorf("the front is named %q (%v)", comm, err)
	}
	if line, want := commandLine(front), strings.Join(cmd.Args, " "); line != want {
		t.Errorf("its command line is %q, want %q", line, want)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("the end of the input: %v, want status 1", err)
	}
}

// TestImageOrRootfs runs names that may be those of an image and of a directory.
func TestImageOrRootfs(t *testing.T) {
	reg := startRegistry(t)
	image := reg.push(t, "either", imageOf(t, v1.Config{}, busyboxLayer(t), []entry{regular("kind", "image")}))
	store, parent := imageStore(t), t.TempDir()
	subuidless(t, "pull", "-q", store, image)
	rootfs := filepath.Join(parent, "name")
	if err := makeRootfs(rootfs); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(rootfs, "kind"), []byte("rootfs"), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		cmd := command(t, append([]string{"subuidless", "run", store}, args...)...)
		cmd.Dir = parent
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Sprintf("%v: %s", err, out)
		}
		return string(out)
	}
	show := []string{"cat", "/kind"}
	if got := run(append([]string{"name"}, show...)...); got != "rootfs" {
		t.Errorf("a directory, and no image: %s", got)
	}
	if got := run("--rm", "name"); !strings.Contains(got, "--rm needs an image, but name is a directory") {
		t.Errorf("--rm and a directory: %s", got)
	}
	subuidless(t, "tag", store, image, "name")
	if got := run(append([]string{"--rm", "name"}, show...)...); got != "image" {
		t.Errorf("an image of the same name: %s", got)
	}
	if got := run(append([]string{"./name"}, show...)...); got != "rootfs" {
		t.Errorf("a path: %s", got)
	}
}

// TestStripped removes the symbols of the program, as distributions do: all works except commands for
// images, which say so.
func TestStripped(t *testing.T) {
	strip, err := exec.LookPath("strip")
	if err != nil {
		t.Skip(err)
	}
	program := filepath.Join(t.TempDir(), "subuidless")
	if out, err := exec.Command(strip, "-o", program, work("bin", "subuidless")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := exec.Command(program, "exec", "--", "id", "-u").CombinedOutput(); err != nil || string(out) != "0\n" {
		t.Errorf("exec: %v, %s", err, out)
	}
	if out, err := exec.Command(program, "images").CombinedOutput(); err == nil || !strings.Contains(string(out), "strip(1) removes them") {
		t.Errorf("images: %v, %s", err, out)
	}
}

// TestImageProgramName starts the image program as nobody should, which it says.
func TestImageProgramName(t *testing.T) {
	cmd := exec.Command(work("bin", "subuidless"), "images")
	cmd.Args[0] = "subuidless-image"
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "run subuidless instead") {
		t.Errorf("%v, %s", err, out)
	}
}
