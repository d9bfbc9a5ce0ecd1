// Command release makes what users install: packages (.deb, .rpm, .apk) and a tarball for each
// architecture, each with an SBOM, install.sh, and SHA256SUMS. The same commit and version of Go
// give the same bytes.
//
//	go run ./release -out dist
//
// Packages are made by nfpm, a tool of release/tools.mod, so that the product does not depend on it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

func main() {
	out := flag.String("out", "dist", "`directory` to write to; it must not exist, or be empty")
	archs := flag.String("arch", "amd64,arm64", "`GOARCH`s, separated by commas")
	flag.Parse()
	if err := release(*out, strings.Split(*archs, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// build is what the parts of one release have in common.
type build struct {
	out        string // absolute path of the directory with the results
	work       string // of temporary files
	version    string // of the last tag, or 0.0.0
	prerelease string // git and the time of the commit, if that has no tag; or empty
	time       time.Time
	env        []string
}

// release writes a release for these architectures to the directory out.
func release(out string, archs []string) (err error) {
	b, err := newBuild(out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.work)) }()
	// The host's program writes the completions, which are the same for all.
	if err := b.program(runtime.GOARCH); err != nil {
		return err
	}
	if err := b.documents(); err != nil {
		return err
	}
	for _, arch := range archs {
		if err := b.program(arch); err != nil {
			return err
		}
		if err := b.tree(arch); err != nil {
			return err
		}
		if err := b.packages(arch); err != nil {
			return err
		}
		if err := b.tarball(arch); err != nil {
			return err
		}
	}
	if err := b.copyOut("release/files/install.sh", "install.sh", 0o755); err != nil {
		return err
	}
	return b.checksums()
}

func newBuild(out string) (*build, error) {
	out, err := filepath.Abs(out)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, err
	}
	if entries, err := os.ReadDir(out); err != nil || len(entries) > 0 {
		return nil, errors.Join(err, fmt.Errorf("%s is not empty", out))
	}
	b := &build{out: out, version: "0.0.0"}
	if b.work, err = os.MkdirTemp("", "subuidless-release-"); err != nil {
		return nil, err
	}
	seconds := os.Getenv("SOURCE_DATE_EPOCH")
	if seconds == "" {
		if seconds, err = output("git", "log", "-1", "--format=%ct"); err != nil {
			return nil, err
		}
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	b.time = time.Unix(n, 0).UTC()
	b.env = append(os.Environ(), "SOURCE_DATE_EPOCH="+seconds, "CGO_ENABLED=0")
	if tag, err := output("git", "describe", "--tags", "--exact-match", "--match", "v[0-9]*"); err == nil {
		b.version, b.prerelease, _ = strings.Cut(strings.TrimPrefix(tag, "v"), "-")
	} else {
		b.prerelease = "git" + b.time.Format("20060102150405")
	}
	return b, nil
}

// fullVersion is the version in the names of files.
func (b *build) fullVersion() string {
	if b.prerelease == "" {
		return b.version
	}
	return b.version + "-" + b.prerelease
}

// output returns what a command prints, without white space around it.
func output(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	b, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	return strings.TrimSpace(string(b)), nil
}

// run runs a command, whose output goes to standard error.
func (b *build) run(env []string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env = append(b.env, env...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	return nil
}

// programPath is the path of the program for an architecture.
func (b *build) programPath(arch string) string { return filepath.Join(b.work, "subuidless-"+arch) }

// program builds the program for an architecture.
func (b *build) program(arch string) error {
	if _, err := os.Stat(b.programPath(arch)); err == nil {
		return nil
	}
	return b.run([]string{"GOOS=linux", "GOARCH=" + arch}, "cmd/build", b.programPath(arch), "-trimpath", "-buildvcs=true")
}
