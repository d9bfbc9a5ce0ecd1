package test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The script testdata/engines/life is the life of images and containers: what it prints, and the
// layers that it pushes, must be those of real root, in each release of Debian.

// life is a run of the script.
type life struct {
	work, addr, dir string
	env             []string
	enter           []string // the command line that precedes each command
}

// releases are the names of the runs.
var releases = []string{"debian12", "debian13"}

// run runs the script and returns what it prints, and lists of the layers.
func (l life) run(cmd func(...string) *exec.Cmd) ([]byte, error) {
	if err := os.CopyFS(l.dir, os.DirFS(filepath.Join(l.work, "testdata", "engines"))); err != nil {
		return nil, err
	}
	layer, err := baseLayer(true)
	if err != nil {
		return nil, err
	}
	if err := pushImage(l.addr, baseImage, layer, "sh"); err != nil {
		return nil, err
	}
	if err := pushDebian(l.addr+"/debian", filepath.Join(l.work, "debian12.tar")); err != nil {
		return nil, err
	}
	c := cmd(append(l.enter, "sh", filepath.Join(l.dir, "life"))...)
	c.Dir = l.dir
	c.Env = append(l.env, "REGISTRY="+l.addr, "SERVERS="+filepath.Join(l.work, "servers"))
	var out, messages bytes.Buffer
	c.Stdout, c.Stderr = &out, &messages
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("%w\n%s%s", err, out.Bytes(), messages.Bytes())
	}
	for _, image := range []string{"committed", "stepwise", "servers"} {
		list, err := listAdded(l.addr, image, describeMember)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&out, "# image %s\n%s", image, list)
	}
	inspected, err := describeInspects(l.work, l.dir)
	if err != nil {
		return nil, err
	}
	out.WriteString(inspected)
	return bytes.ReplaceAll(out.Bytes(), []byte(l.addr), []byte("REGISTRY")), nil
}

// varying matches the names of files whose content differs between two runs of real root: it contains
// times or random bits.
var varying = regexp.MustCompile(`^(etc/ssl/(private|certs)/ssl-cert-snakeoil.*|etc/(shadow|passwd|group|gshadow|subuid)-?|var/log/.*|var/cache/.*|var/lib/(apt|dpkg)/.*)$`)

// describeMember describes a member of a layer.
func describeMember(h *tar.Header, xattrs []string, content []byte) string {
	if h.Linkname == "ssl-cert-snakeoil.pem" {
		h.Name = "etc/ssl/certs/HASH.0"
	}
	line := fmt.Sprintf("%s %c %o %d:%d %q %d:%d", h.Name, h.Typeflag, h.Mode&0o7777, h.Uid, h.Gid, h.Linkname, h.Devmajor, h.Devminor)
	for _, x := range xattrs {
		line += fmt.Sprintf(" %s=%x", x, h.PAXRecords[xattrRecord+x])
	}
	if varying.MatchString(h.Name) {
		return line + " varies"
	}
	return fmt.Sprintf("%s %d %.6x", line, len(content), sha256.Sum256(content))
}

// livesAsRoot runs the script as real root, and stores the results in the directory
// "expected/life". It takes results that are still valid from the cache.
func livesAsRoot(work string) error {
	if _, err := os.Stat(filepath.Join(work, "servers")); err != nil {
		return nil // the tests are skipped, with the reason
	}
	expected := filepath.Join(work, "expected", "life")
	if err := os.MkdirAll(expected, 0o755); err != nil {
		return err
	}
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	for _, release := range releases {
		var enter []string
		if release == "debian13" {
			if _, err := os.Stat(filepath.Join(work, enter13)); err != nil {
				continue // the test is skipped, with the reason
			}
			enter = in13(work, work)
		} else if _, missing := unmet("buildah", "busybox", "podman"); missing {
			continue
		}
		inputs, err := lifeInputs(work, enter)
		if err != nil {
			return err
		}
		output, err := cached(filepath.Join(cache, "results", "life", release), inputs, func() ([]byte, error) {
			fmt.Fprintf(os.Stderr, "the life of containers in %s as real root\n", release)
			return lifeAsRoot(work, enter)
		})
		if err != nil {
			return fmt.Errorf("the life of containers in %s as real root: %w", release, err)
		}
		if err := os.WriteFile(filepath.Join(expected, release), output, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// lifeInputs returns a checksum of everything that the result depends on.
func lifeInputs(work string, enter []string) (string, error) {
	sum := sha256.New()
	for _, argv := range [][]string{{"uname", "-r"}, {"podman", "--version"}, {"buildah", "--version"}, {"crun", "--version"}} {
		argv = append(enter[:len(enter):len(enter)], argv...)
		out, err := exec.Command(argv[0], argv[1:]...).Output()
		if err != nil {
			return "", fmt.Errorf("%v: %w", argv, err)
		}
		sum.Write(out)
	}
	files, err := filepath.Glob(filepath.Join(work, "testdata", "engines", "*", "*"))
	if err != nil {
		return "", err
	}
	files = append(files, filepath.Join(work, "testdata", "engines", "life"), filepath.Join(work, inspectDiffers), filepath.Join(work, "bin", "busybox"),
		filepath.Join(work, "debian12.tar"), filepath.Join(work, "servers", "dists", "bookworm", "Release"))
	err = addFiles(sum, files...)
	inputs := fmt.Sprintf("%x %s %v", sum.Sum(nil), varying, rootConfigs)
	for _, r := range runValues {
		inputs += fmt.Sprintf(" %s %s", r.pattern, r.by)
	}
	return inputs, err
}

// rootConfigs are configuration files of the engines, and the variables that name them: real root
// needs neither cgroups nor systemd here. A file that a variable names replaces the one of the
// release, so this one repeats its capabilities.
var rootConfigs = map[string]string{
	"CONTAINERS_CONF": "[containers]\ncgroups = \"disabled\"\n" +
		"default_capabilities = [\"CHOWN\", \"DAC_OVERRIDE\", \"FOWNER\", \"FSETID\", \"KILL\", \"NET_BIND_SERVICE\", \"SETFCAP\", \"SETGID\", \"SETPCAP\", \"SETUID\", \"SYS_CHROOT\"]\n" +
		"default_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n",
	"CONTAINERS_STORAGE_CONF":    "[storage]\ndriver = \"overlay\"\ngraphroot = \"DIR/storage\"\nrunroot = \"DIR/run\"\n",
	"CONTAINERS_REGISTRIES_CONF": "[[registry]]\nlocation = \"REGISTRY\"\ninsecure = true\n",
}

// lifeAsRoot runs the script as real root.
func lifeAsRoot(work string, enter []string) (_ []byte, err error) {
	listener, err := serveRegistry()
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	dir, err := os.MkdirTemp(work, "life-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	l := life{work: work, addr: listener.Addr().String(), dir: filepath.Join(dir, "engines")}
	l.env = append(os.Environ(), "SUBUIDLESS=", "PUBLISH=--network=none", "HOME="+dir, "TMPDIR="+dir, "PATH="+filepath.Join(work, "bin")+":"+os.Getenv("PATH")+":/usr/sbin:/sbin")
	for variable, text := range rootConfigs {
		file := filepath.Join(dir, variable)
		if err := os.WriteFile(file, []byte(strings.NewReplacer("DIR", dir, "REGISTRY", l.addr).Replace(text)), 0o644); err != nil {
			return nil, err
		}
		l.env = append(l.env, variable+"="+file)
	}
	// In its own mount namespace, with the directories that podman shares.
	l.enter = append(enter[:len(enter):len(enter)], "unshare", "--mount", "sh", "-euc",
		`mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /dev/shm; mkdir -p /run/lock; cd "$0"; exec "$@"`, l.dir)
	return l.run(func(argv ...string) *exec.Cmd { return exec.Command(argv[0], argv[1:]...) })
}

// TestLife runs the script as a user without subordinate ids.
func TestLife(t *testing.T) {
	for _, release := range releases {
		t.Run(release, func(t *testing.T) {
			needs(t, "busybox", "debian", "servers", "root", "tun")
			var enter []string
			if release == "debian13" {
				needs(t, "debian13")
				enter = in13(work(), work())
			} else {
				needs(t, "buildah", "podman", "slirp4netns")
			}
			e := newEngine(t)
			l := life{work: work(), addr: e.addr, dir: e.home("engines"), enter: enter}
			l.env = append(e.env, "SUBUIDLESS=subuidless", "PUBLISH=--publish=127.0.0.1::8080")
			if enter != nil {
				l.enter = append(enter, "env", "-C", l.dir)
			}
			got, err := l.run(func(argv ...string) *exec.Cmd { return command(t, argv...) })
			if err != nil {
				t.Fatal(err)
			}
			expected := work("expected", "life", release)
			if want, err := os.ReadFile(expected); err != nil {
				t.Fatal(err)
			} else if !bytes.Equal(want, got) {
				t.Errorf("differs from real root:\n%s", unifiedDiff(t, expected, got))
			}
		})
	}
}
