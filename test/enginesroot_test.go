package test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// engineBuilds are the images that the tests build from testdata/engines/Dockerfile: the name,
// and the target, which is the last stage if empty.
var engineBuilds = map[string]string{"first": "first", "last": ""}

// buildAsRoot builds the images as real root, and stores what they contain in the directory
// "expected/engines".
func buildAsRoot(work string) (err error) {
	if _, missing := unmet("buildah", "busybox"); missing {
		return nil // the tests are skipped, with the reason
	}
	l, err := serveRegistry()
	if err != nil {
		return err
	}
	defer l.Close()
	addr := l.Addr().String()
	// Storage and configuration of their own. Root has cgroups and networks that would have
	// to be removed: the isolation needs none.
	dir := filepath.Join(work, "root-storage")
	buildah := func(args ...string) error {
		global := []string{"--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "overlay"}
		cmd := exec.Command("buildah", append(global, args...)...)
		cmd.Dir = filepath.Join(work, "testdata", "engines")
		cmd.Env = append(os.Environ(), "TMPDIR="+work)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%v as real root: %w\n%s", cmd.Args, err, out)
		}
		return nil
	}
	defer func() {
		err = errors.Join(err, buildah("rm", "--all"), buildah("rmi", "--all", "--force"), os.RemoveAll(dir))
	}()
	expected := filepath.Join(work, "expected", "engines")
	if err := os.MkdirAll(expected, 0o755); err != nil {
		return err
	}
	for name, target := range engineBuilds {
		image := addr + "/" + name
		if err := buildah(append(buildArgs(addr, target, image), "--isolation", "chroot", ".")...); err != nil {
			return err
		}
		if err := buildah("push", "--tls-verify=false", image); err != nil {
			return err
		}
		list, err := addedFiles(addr, name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(expected, name), []byte(list), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// buildArgs returns the arguments of podman and buildah that build an image in the directory
// of the Dockerfile, except for that directory.
func buildArgs(addr, target, image string) []string {
	args := []string{"build", "--tls-verify=false", "--layers", "--build-arg", "base=" + addr + "/" + baseImage, "-t", image}
	if target != "" {
		args = append(args, "--target", target)
	}
	return args
}
