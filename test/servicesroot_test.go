package test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// runServicesAsRoot runs the scripts in testdata/services as real root, and keeps what
// they print in the directory "answers/services". The cache has what real root got
// before.
func runServicesAsRoot(work string) error {
	tar := filepath.Join(work, servicesTar)
	for _, needed := range []string{tar, filepath.Join(work, "bin", "rawids")} {
		if _, err := os.Stat(needed); errors.Is(err, os.ErrNotExist) {
			return nil // the test is skipped
		}
	}
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	for _, dir := range []string{filepath.Join(cache, "services"), filepath.Join(work, "answers", "services")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	names, err := serviceScripts(work)
	if err != nil {
		return err
	}
	sum, err := circumstances(work, tar)
	if err != nil {
		return err
	}
	base := filepath.Join(work, "services")
	unpack := sync.OnceValue(func() error {
		if err := os.Mkdir(base, 0o755); err != nil {
			return err
		}
		return runAsRoot("tar", "-C", base, "--xattrs", "--xattrs-include=*", "-xpf", tar)
	})
	// More than there are CPUs: much of what the scripts do is to wait.
	turns := make(chan struct{}, 2*runtime.NumCPU())
	results := make(chan error, len(names))
	for _, name := range names {
		go func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			results <- func() error {
				answer, err := cached(filepath.Join(cache, "services", name), sum[name], func() ([]byte, error) {
					if err := unpack(); err != nil {
						return nil, err
					}
					return runServiceAsRoot(work, base, name)
				})
				if err != nil {
					return fmt.Errorf("as root in a chroot: %w", err)
				}
				return os.WriteFile(filepath.Join(work, "answers", "services", name), answer, 0o644)
			}()
		}()
	}
	for range names {
		err = errors.Join(err, <-results)
	}
	return errors.Join(err, os.RemoveAll(base))
}

// runServiceAsRoot runs one script by real root in a copy of base.
func runServiceAsRoot(work, base, name string) ([]byte, error) {
	rootfs := base + "-" + name
	if err := runAsRoot("cp", "-a", base, rootfs); err != nil {
		return nil, err
	}
	defer os.RemoveAll(rootfs)
	// PR_SET_PDEATHSIG is about this very thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out, err := runScript(work, rootfs, name, chrooted(work))
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	return out, nil
}

// chrooted is the container of real root. It ends with the thread that starts it.
func chrooted(work string) container {
	return func(ctx context.Context, rootfs string, command ...string) *exec.Cmd {
		args := append([]string{filepath.Join(work, "testdata", "services", "chroot"), rootfs}, command...)
		cmd := exec.CommandContext(ctx, "sh", args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
		return cmd
	}
}

func runAsRoot(argv ...string) error {
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", argv, err, out)
	}
	return nil
}

// cached returns what a file holds below the line sum, if that is its first
// line. Else it makes it anew.
func cached(file, sum string, fresh func() ([]byte, error)) ([]byte, error) {
	b, err := os.ReadFile(file)
	if first, rest, _ := bytes.Cut(b, []byte("\n")); err == nil && string(first) == sum {
		return rest, nil
	}
	answer, err := fresh()
	if err != nil {
		return nil, err
	}
	// Others may run the tests at the same time.
	f, err := os.CreateTemp(filepath.Dir(file), "new-")
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(f, "%s\n%s", sum, answer)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(f.Name()))
	}
	return answer, os.Rename(f.Name(), file)
}

// circumstances returns, for each script, a checksum of all that its answer
// depends on: the script, what it uses, the root file system and the kernel.
func circumstances(work, tar string) (map[string]string, error) {
	var uname unix.Utsname
	if err := unix.Uname(&uname); err != nil {
		return nil, err
	}
	shared := sha256.New()
	shared.Write(uname.Release[:])
	files := []string{tar, filepath.Join(work, "bin", "rawids"), filepath.Join(work, "bin", "goids")}
	for _, pattern := range []string{"chroot", "functions", "*.py"} {
		more, err := filepath.Glob(filepath.Join(work, "testdata", "services", pattern))
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	if err := addFiles(shared, files...); err != nil {
		return nil, err
	}
	names, err := serviceScripts(work)
	if err != nil {
		return nil, err
	}
	sums := map[string]string{}
	for _, name := range names {
		sum := sha256.New()
		sum.Write(shared.Sum(nil))
		script := filepath.Join(work, "testdata", "services", name)
		if err := addFiles(sum, script+".sh", script+".again.sh"); err != nil {
			return nil, err
		}
		sums[name] = fmt.Sprintf("%x", sum.Sum(nil))
	}
	return sums, nil
}

func addFiles(w io.Writer, names ...string) error {
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		_, err = io.Copy(w, f)
		f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
