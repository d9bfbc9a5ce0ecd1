package test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// runSuitesAsRoot runs the test suites by real root and a real user, and keeps their
// results in the directory "answers/suites". The cache has what they were before.
func runSuitesAsRoot(work string) error {
	tar := filepath.Join(work, suitesTar)
	if _, err := os.Stat(tar); errors.Is(err, os.ErrNotExist) {
		return nil // the test is skipped
	}
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	answers := filepath.Join(work, "answers", "suites")
	for _, dir := range []string{filepath.Join(cache, "suites"), answers} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	sum, err := suiteCircumstances(work, tar)
	if err != nil {
		return err
	}
	rootfs := filepath.Join(work, "suites")
	unpack := sync.OnceValue(func() error {
		if err := os.Mkdir(rootfs, 0o755); err != nil {
			return err
		}
		if err := runAsRoot("tar", "-C", rootfs, "--xattrs", "--xattrs-include=*", "-xpf", tar); err != nil {
			return err
		}
		return os.CopyFS(filepath.Join(rootfs, "test"), os.DirFS(filepath.Join(work, "testdata", "suites")))
	})
	for _, s := range suites {
		for _, user := range suiteUsers {
			name := s.name + "-" + user
			kept := filepath.Join(cache, "suites", name)
			if os.Getenv(suitesVar) == "all" {
				kept += "-all"
			}
			answer, err := cached(kept, fmt.Sprintf("%s %s", sum, s.command(user)), func() ([]byte, error) {
				if err := unpack(); err != nil {
					return nil, err
				}
				return s.run(rootfs, user, chrooted(work))
			})
			if err != nil {
				return fmt.Errorf("in a chroot: %w", err)
			}
			if err := os.WriteFile(filepath.Join(answers, name), answer, 0o644); err != nil {
				return err
			}
		}
	}
	return os.RemoveAll(rootfs)
}

// suiteCircumstances returns a checksum of what the results depend on.
func suiteCircumstances(work, tar string) (string, error) {
	var uname unix.Utsname
	if err := unix.Uname(&uname); err != nil {
		return "", err
	}
	scripts, err := filepath.Glob(filepath.Join(work, "testdata", "suites", "*"))
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	sum.Write(uname.Release[:])
	err = addFiles(sum, append(scripts, tar, filepath.Join(work, "testdata", "services", "chroot"))...)
	return fmt.Sprintf("%x", sum.Sum(nil)), err
}
