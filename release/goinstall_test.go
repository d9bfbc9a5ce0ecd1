package main

import (
	"archive/zip"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// module is the path of this module, and installVersion a version of it that only the test knows.
const (
	module         = "github.com/rootless-containers/subuidless"
	installVersion = "v0.0.1"
)

// TestGoInstall installs the files of this directory with go install, as if they were a version on
// a module proxy. It needs no network: what it depends on is in the module cache.
func TestGoInstall(t *testing.T) {
	t.Chdir("..")
	proxy, bin, modules := t.TempDir(), t.TempDir(), t.TempDir()
	if err := writeVersion(filepath.Join(proxy, module, "@v")); err != nil {
		t.Fatal(err)
	}
	cache := strings.TrimSpace(command(t, "go", "env", "GOMODCACHE"))
	install := func(packages string) {
		t.Helper()
		cmd := exec.Command("go", "install", "-trimpath", module+packages+"@"+installVersion)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOBIN="+bin, "GOMODCACHE="+modules, "GOFLAGS=-modcacherw", "GOSUMDB=off",
			"GOPROXY=file://"+proxy+",file://"+cache+"/cache/download")
		cmd.Dir = bin
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	program := filepath.Join(bin, "subuidless")
	install("/cmd/subuidless")
	if out := command(t, program, "--version"); !strings.Contains(out, " "+installVersion+" ") {
		t.Errorf("the version is %s", out)
	}
	if out, err := exec.Command(program, "images").CombinedOutput(); err == nil || !strings.Contains(string(out), "go install "+module+"/cmd/...@latest") {
		t.Errorf("without the image program: %v, %s", err, out)
	}
	install("/cmd/...")
	if out := command(t, program, "images", "--root", t.TempDir()); !strings.HasPrefix(out, "REPOSITORY") {
		t.Errorf("images: %s", out)
	}
	image := filepath.Join(bin, "subuidless-image")
	if out := command(t, "go", "build", "-o", image, "./cmd/subuidless-image"); out != "" {
		t.Error(out)
	}
	if out, err := exec.Command(program, "images").CombinedOutput(); err == nil || !strings.Contains(string(out), "install both of one version") {
		t.Errorf("with another version of the image program: %v, %s", err, out)
	}
}

// writeVersion writes what a module proxy has of a version (go help goproxy) to a directory.
func writeVersion(dir string) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		return err
	}
	info := fmt.Sprintf("{\"Version\": %q}", installVersion)
	for name, text := range map[string]string{"list": installVersion + "\n", installVersion + ".mod": string(mod), installVersion + ".info": info} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	f, err := os.Create(filepath.Join(dir, installVersion+".zip"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	files, err := output("git", "ls-files", "-co", "--exclude-standard")
	if err != nil {
		return err
	}
	z := zip.NewWriter(f)
	for name := range strings.Lines(files) {
		name = strings.TrimSpace(name)
		if strings.HasPrefix(name, "test/") && !strings.HasPrefix(name, "test/pages/") {
			continue // not imported below cmd, and half of all bytes
		}
		text, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue // removed, but not yet in git
		}
		if err != nil {
			return err
		}
		w, err := z.Create(module + "@" + installVersion + "/" + name)
		if err == nil {
			_, err = w.Write(text)
		}
		if err != nil {
			return err
		}
	}
	return z.Close()
}
