package ociruntime

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// kind is a program whose command line this package knows.
type kind string

const (
	crun kind = "crun"
	runc kind = "runc"
)

// backend is the runtime that does the work.
type backend struct {
	kind kind
	path string // absolute
}

// runtimeVar is the variable that names the runtime.
const runtimeVar = "SUBUIDLESS_RUNTIME"

// findBackend returns the runtime with the given name or path. If it is empty, the variable
// SUBUIDLESS_RUNTIME names the runtime, or it is the first of crun and runc in PATH. An
// engine may call this program by the name of a runtime: the program itself is never the
// result.
func findBackend(name string) (backend, error) {
	if name == "" {
		name = os.Getenv(runtimeVar)
	}
	if name != "" {
		path, err := exec.LookPath(name)
		if err != nil {
			return backend{}, fmt.Errorf("runtime %s: %w (install it, or name another one with --runtime or %s)", name, errors.Unwrap(err), runtimeVar)
		}
		return identify(path)
	}
	for _, k := range []kind{crun, runc} {
		// Debian's users do not have /usr/sbin, where runc is, in their PATH.
		for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/local/sbin", "/usr/sbin", "/sbin") {
			path, err := exec.LookPath(filepath.Join(dir, string(k)))
			if err == nil && !isSelf(path) {
				return identify(path)
			}
		}
	}
	return backend{}, fmt.Errorf("neither crun nor runc is in PATH: install one of them, or name it with --runtime or %s", runtimeVar)
}

// isSelf reports whether path is this program.
func isSelf(path string) bool {
	a, err := os.Stat(path)
	if err != nil {
		return false
	}
	b, err := os.Stat("/proc/self/exe")
	return err == nil && os.SameFile(a, b)
}

// identify returns the runtime at path.
func identify(path string) (backend, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return backend{}, err
	}
	if isSelf(path) {
		return backend{}, fmt.Errorf("runtime %s is subuidless itself: name crun or runc with --runtime or %s", path, runtimeVar)
	}
	b := backend{path: path}
	switch name := filepath.Base(path); {
	case strings.Contains(name, string(crun)):
		b.kind = crun
	case strings.Contains(name, string(runc)):
		b.kind = runc
	default:
		out, err := exec.Command(path, "--version").Output()
		if err != nil {
			return backend{}, fmt.Errorf("%s --version: %w", path, err)
		}
		switch first, _, _ := bytes.Cut(out, []byte(" ")); string(first) {
		case string(crun), string(runc):
			b.kind = kind(first)
		default:
			return backend{}, fmt.Errorf("runtime %s is neither crun nor runc: its --version prints %q", path, firstLine(out))
		}
	}
	return b, nil
}

func firstLine(out []byte) string {
	line, _, _ := bytes.Cut(out, []byte("\n"))
	return string(line)
}

// minimum are the first versions that send a seccomp listener to listenerPath.
var minimum = map[kind][2]int{crun: {0, 19}, runc: {1, 1}}

var versionNumber = regexp.MustCompile(`(\d+)\.(\d+)`)

// tooOld returns why the runtime cannot send a listener, or "" if its version can.
func (b *backend) tooOld() string {
	out, err := exec.Command(b.path, "--version").Output()
	if err != nil {
		return fmt.Sprintf("%s --version: %v", b.path, err)
	}
	m, least := versionNumber.FindStringSubmatch(firstLine(out)), minimum[b.kind]
	if m == nil {
		return fmt.Sprintf("%s --version prints no version: %q", b.path, firstLine(out))
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	if major > least[0] || major == least[0] && minor >= least[1] {
		return ""
	}
	return fmt.Sprintf("%s (%s) is too old: subuidless needs %s %d.%d or later, built with libseccomp 2.5 or later", b.path, firstLine(out), b.kind, least[0], least[1])
}
