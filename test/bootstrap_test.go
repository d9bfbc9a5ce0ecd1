package test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Debian bootstrapped under subuidless must be the same archive, bit for bit, as
// Debian bootstrapped by real root from the same repository.

// bootstrap is a shell script that runs in an empty directory and creates out.tar there.
type bootstrap struct{ name, script string }

var bootstraps = []bootstrap{
	{"mmdebstrap", `
		set -- --customize-hook='eval "$forget"'
		mmdebstrap --mode=root --variant=minbase --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr "$@" \
			--include=dbus,postfix,at bookworm out.tar "deb [trusted=yes] copy://$repository bookworm main"`},
	// debootstrap mounts a proc file system; without it, postfix is configured differently.
	// user_namespaces(7): "Holding CAP_SYS_ADMIN within the user namespace that
	// owns a process's PID namespace allows (since Linux 3.8) that process to
	// mount /proc filesystems." Hence a PID namespace.
	{"debootstrap", `
		unshare --pid --fork debootstrap --no-check-gpg --variant=minbase --include=dbus,postfix,at bookworm "$PWD/root" "file://$repository"
		set -- root; eval "$forget"
		# These differ between runs; mmdebstrap removes them itself.
		rm -r root/var/log/* root/var/cache/ldconfig/aux-cache root/var/cache/apt root/var/lib/apt/lists root/var/lib/dbus/machine-id
		tar -C root --sort=name --mtime="@$SOURCE_DATE_EPOCH" --numeric-owner --xattrs --format=pax \
			--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime -cf out.tar .`},
}

// forget removes from the root file system $1 the files that differ between two
// runs of real root: they contain random bits (a key and its certificate, an
// identifier in a Berkeley DB) or the path of the repository.
const forget = `rm -r "$1"/etc/aliases.db "$1"/etc/ssl/private/ssl-cert-snakeoil.key "$1"/etc/ssl/certs/ssl-cert-snakeoil.pem \
	"$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d`

// run runs a bootstrap in dir, with prefix before its command, and returns how
// long it took.
func (b bootstrap) run(work, dir string, prefix ...string) (time.Duration, error) {
	argv := append(prefix, "sh", "-euc", b.script)
	ctx, cancel := limited(context.Background())
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	// The complete environment, as it is an input.
	cmd.Env = []string{
		"PATH=" + filepath.Join(work, "bin") + ":/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + dir, "TMPDIR=" + dir, "LC_ALL=C.UTF-8",
		"XDG_RUNTIME_DIR=" + filepath.Join(work, "run"), "XDG_STATE_HOME=" + filepath.Join(work, "state"), workVar + "=" + work,
		"SOURCE_DATE_EPOCH=1700000000", "repository=" + filepath.Join(work, "repository"), "forget=" + forget,
	}
	start := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", b.name, err, out)
	}
	return time.Since(start), err
}

// bootstrapDir creates a directory that apt's user _apt can search. If _apt cannot,
// apt stays root, and the owner of its "partial" directories differs.
func bootstrapDir(work string) (string, error) {
	dir, err := os.MkdirTemp(filepath.Join(work, "bootstrap"), "")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}

// inputs is the first line of a cached result: a hash of everything that it
// depends on except the kernel.
func (b bootstrap) inputs(work string) (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, b.script, forget)
	for _, name := range []string{
		filepath.Join(work, "repository/dists/bookworm/Release"),
		"/usr/bin/mmdebstrap", "/usr/sbin/debootstrap", "/usr/share/debootstrap/functions", "/bin/tar",
		"/etc/hostname", "/etc/resolv.conf", // copied by both
	} {
		content, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) {
			return "", err
		}
		fmt.Fprintf(hash, "%d\n%s", len(content), content)
	}
	return fmt.Sprintf("inputs: %x\n", hash.Sum(nil)), nil
}

// bootstrapAsRoot runs the bootstraps as real root and stores the lists of the
// archives' members in the directory "expected", and in the cache for later runs.
func bootstrapAsRoot(work string) error {
	if _, err := os.Stat(filepath.Join(work, "repository")); err != nil || !program("mmdebstrap")() || !program("debootstrap")() {
		return nil // the test is skipped, with the reason
	}
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	for _, b := range bootstraps {
		inputs, err := b.inputs(work)
		if err != nil {
			return err
		}
		cached := filepath.Join(cache, b.name+"-answer")
		list, err := os.ReadFile(cached)
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		list, current := bytes.CutPrefix(list, []byte(inputs))
		if !current {
			if list, err = b.runAsRoot(work); err != nil {
				return err
			}
			if err := os.WriteFile(cached, slices.Concat([]byte(inputs), list), 0o644); err != nil {
				return err
			}
		}
		if err := os.WriteFile(filepath.Join(work, "expected", b.name), list, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// runAsRoot runs the bootstrap as real root and returns the list of the archive's
// members, followed by the time that it took.
func (b bootstrap) runAsRoot(work string) ([]byte, error) {
	dir, err := bootstrapDir(work)
	if err != nil {
		return nil, err
	}
	defer removeAll(dir)
	fmt.Fprintf(os.Stderr, "%s as real root\n", b.name)
	took, err := b.run(work, dir)
	if err != nil {
		return nil, err
	}
	members, err := listArchive(filepath.Join(dir, "out.tar"))
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(members, "%s%s\n", tookPrefix, took.Round(time.Millisecond)), nil
}

// tookPrefix begins the last line of a cached result.
const tookPrefix = "took "

func TestBootstrap(t *testing.T) {
	needs(t, "mmdebstrap", "debootstrap", "repository", "root")
	for _, b := range bootstraps {
		t.Run(b.name, func(t *testing.T) {
			expected, err := os.ReadFile(work("expected", b.name))
			if err != nil {
				t.Fatal(err)
			}
			want, rootTook, _ := strings.Cut(string(expected), tookPrefix)
			dir, err := bootstrapDir(work())
			if err != nil {
				t.Fatal(err)
			}
			defer removeAll(dir)
			took, err := b.run(work(), dir, "subuidless", "exec", "--")
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%.1f s; real root, in another run: %s", took.Seconds(), rootTook)
			got, err := listArchive(filepath.Join(dir, "out.tar"))
			if err != nil {
				t.Fatal(err)
			}
			if difference := diffMembers(want, string(got)); difference != "" {
				t.Errorf("differs from the archive of real root:\n%s", difference)
			}
		})
	}
}

// listArchive describes an archive: one line for each member, and one with the
// checksum of the whole file.
func listArchive(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	whole := sha256.New()
	bits := io.TeeReader(f, whole)
	var list bytes.Buffer
	for archive := tar.NewReader(bits); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		content := sha256.New()
		if _, err := io.Copy(content, archive); err != nil {
			return nil, err
		}
		fmt.Fprintf(&list, "%s: type %c, mode %04o, owner %d:%d, device %d:%d, size %d, time %d, content %.6x",
			h.Name, h.Typeflag, h.Mode, h.Uid, h.Gid, h.Devmajor, h.Devminor, h.Size, h.ModTime.Unix(), content.Sum(nil))
		if h.Linkname != "" {
			fmt.Fprintf(&list, ", to %s", h.Linkname)
		}
		for _, key := range slices.Sorted(maps.Keys(h.PAXRecords)) {
			fmt.Fprintf(&list, ", %s=%q", key, h.PAXRecords[key])
		}
		list.WriteByte('\n')
	}
	// The padding after the last member is part of the archive too.
	if _, err := io.Copy(io.Discard, bits); err != nil {
		return nil, err
	}
	fmt.Fprintf(&list, "%s%x\n", wholePrefix, whole.Sum(nil))
	return list.Bytes(), nil
}

// wholePrefix begins the line with the checksum of the whole file.
const wholePrefix = "the whole archive: "

// diffMembers lists the members that differ. The result is empty if the archives
// are identical.
func diffMembers(want, got string) string {
	if want == got {
		return ""
	}
	const most = 60
	wants, gots := byName(want), byName(got)
	names := maps.Clone(wants)
	maps.Copy(names, gots)
	var b strings.Builder
	differ := 0
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if wants[name] == gots[name] {
			continue
		}
		if differ++; differ <= most {
			fmt.Fprintf(&b, "%s\n\troot:       %s\n\tsubuidless: %s\n", name, wants[name], gots[name])
		}
	}
	fmt.Fprintf(&b, "%d of %d lines differ", differ, len(names))
	return b.String()
}

// byName maps the name of each member to its description in the list.
func byName(list string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(list) {
		name, about, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		all[name] = about
	}
	return all
}

func TestDiffMembers(t *testing.T) {
	const list = "./a: mode 0755\n./b: mode 4755\n./c: mode 0644\n"
	for _, test := range []struct{ got, want string }{
		{list, ""},
		{"./a: mode 0755\n./b: mode 0755\n./c: mode 0644\n", "./b\n\troot:       mode 4755\n\tsubuidless: mode 0755\n1 of 3 lines differ"},
		{"./a: mode 0755\n./b: mode 4755\n", "./c\n\troot:       mode 0644\n\tsubuidless: \n1 of 3 lines differ"},
		{list + "./d: mode 0600\n", "./d\n\troot:       \n\tsubuidless: mode 0600\n1 of 4 lines differ"},
	} {
		if got := diffMembers(list, test.got); got != test.want {
			t.Errorf("%q: got %q, want %q", test.got, got, test.want)
		}
	}
}
