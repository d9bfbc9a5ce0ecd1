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

// runSuitesAsRoot runs the test suites as real root and as a real user, and stores
// their results in the directory "expected/suites". It takes results that are still
// valid from the cache.
func runSuitesAsRoot(work string) error {
	tar := filepath.Join(work, suitesTar)
	if _, err := os.Stat(tar); errors.Is(err, os.ErrNotExist) {
		return nil // the test is skipped, with the reason
	}
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	expected := filepath.Join(work, "expected", "suites")
	if err := os.MkdirAll(expected, 0o755); err != nil {
		return err
	}
	inputs, err := suiteInputs(work, tar)
	if err != nil {
		return err
	}
	rootfs := filepath.Join(work, "suites")
	unpack := sync.OnceValue(func() error {
		if err := os.Mkdir(rootfs, 0o755); err != nil {
			return err
		}
		if err := runCommand("tar", "-C", rootfs, "--xattrs", "--xattrs-include=*", "-xpf", tar); err != nil {
			return err
		}
		return os.CopyFS(filepath.Join(rootfs, "test"), os.DirFS(filepath.Join(work, "testdata", "suites")))
	})
	for _, s := range suites {
		for _, user := range suiteUsers {
			name := s.name + "-" + user
			results, err := cached(filepath.Join(cache, "results", "suites", name), fmt.Sprintf("%s %s", inputs, s.command(user)), func() ([]byte, error) {
				if err := unpack(); err != nil {
					return nil, err
				}
				fmt.Fprintf(os.Stderr, "%s as real %s\n", s.name, user)
				return s.run(rootfs, user, chrooted(work))
			})
			if err != nil {
				return fmt.Errorf("in a chroot: %w", err)
			}
			if err := os.WriteFile(filepath.Join(expected, name), results, 0o644); err != nil {
				return err
			}
		}
	}
	return os.RemoveAll(rootfs)
}

// suiteInputs returns a checksum of everything that the results depend on.
func suiteInputs(work, tar string) (string, error) {
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
