package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// debianDir is where, beneath the fixtures, the first stage puts a Debian root file system and packages to install in it.
const debianDir = "debian"

// debianPackages are all of root's: a one-id namespace can install them.
var debianPackages = []string{"perl", "perl-modules-5.36", "libperl5.36", "libgdbm6", "libgdbm-compat4", "libdb5.3"}

// sourcesDir is where, beneath the fixtures, the first stage puts a Debian root file system with the sources of tar, and what
// it takes to build them.
const sourcesDir = "sources"

// cacheDir is where test/prepare keeps what it made.
func cacheDir() (string, error) {
	if cache := os.Getenv("SUBUIDLESS_CACHE"); cache != "" {
		return cache, nil
	}
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "subuidless-test"), err
}

// provideSources takes them from there; without that, the second stage skips the rows.
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

// provideDebian takes them from there, too.
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

// lacks says what is missing for a row; it is empty when all is there.
func (r row) lacks(w workdir) string {
	if r.provided != "" && !exists(filepath.Join(w.fixtures(), r.provided)) {
		return fmt.Sprintf("no %s root file system and packages here, run test/prepare as root", r.provided)
	}
	return missing(r.needs...)
}
