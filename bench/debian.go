package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// debianDir is the directory in the fixtures in which the first stage puts a Debian root
// file system and packages to install.
const debianDir = "debian"

// debianPackages contain only files that belong to root, so a one-id namespace can
// install them.
var debianPackages = []string{"perl", "perl-modules-5.36", "libperl5.36", "libgdbm6", "libgdbm-compat4", "libdb5.3"}

// sourcesDir is the directory in the fixtures in which the first stage puts a Debian root
// file system with the sources of tar and the tools to build them.
const sourcesDir = "sources"

// cacheDir returns the directory in which test/prepare stores what it builds.
func cacheDir() (string, error) {
	if cache := os.Getenv("SUBUIDLESS_CACHE"); cache != "" {
		return cache, nil
	}
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "subuidless-test"), err
}

// provideSources fills sourcesDir from the cache. If it cannot, the second stage skips
// the rows.
func provideSources(w workdir) error {
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	root := filepath.Join(cache, "suites12.tar")
	if !exists(root) {
		return nil
	}
	to := filepath.Join(w.fixtures(), sourcesDir)
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	return copyFile(filepath.Join(to, "root.tar"), root, 0o644)
}

// provideDebian fills debianDir from the cache. If it cannot, the second stage skips the
// rows.
func provideDebian(w workdir) error {
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	var packages []string
	for _, name := range debianPackages {
		found, err := filepath.Glob(filepath.Join(cache, "repository", "pool", name+"_*.deb"))
		if err != nil {
			return err
		}
		packages = append(packages, found...)
	}
	root := filepath.Join(cache, "debian12.tar")
	if len(packages) < len(debianPackages) || !exists(root) {
		return nil
	}
	to := filepath.Join(w.fixtures(), debianDir)
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	for _, file := range packages {
		if err := copyFile(filepath.Join(to, filepath.Base(file)), file, 0o644); err != nil {
			return err
		}
	}
	return copyFile(filepath.Join(to, "root.tar"), root, 0o644)
}

// lacks returns what is missing for a row, or "".
func (r row) lacks(w workdir) string {
	if r.provided != "" && !exists(filepath.Join(w.fixtures(), r.provided)) {
		return fmt.Sprintf("the root file system for %s is missing; run test/prepare as root", r.provided)
	}
	return missing(r.needs...)
}
