package test

import (
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

// runServicesAsRoot runs the scripts in testdata/services as real root and stores
// their output in the directory "expected/services". It takes outputs that are still
// valid from the cache.
func runServicesAsRoot(work string) error {
	tar := filepath.Join(work, servicesTar)
	for _, needed := range []string{tar, filepath.Join(work, "bin", "rawids")} {
		if _, err := os.Stat(needed); errors.Is(err, os.ErrNotExist) {
			return nil // the test is skipped, with the reason
		}
	}
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(work, "expected", "services"), 0o755); err != nil {
		return err
	}
	names, err := serviceScripts(work)
	if err != nil {
		return err
	}
	inputs, err := serviceInputs(work, tar)
	if err != nil {
		return err
	}
	base := filepath.Join(work, "services")
	unpack := sync.OnceValue(func() error {
		if err := os.Mkdir(base, 0o755); err != nil {
			return err
		}
		return runCommand("tar", "-C", base, "--xattrs", "--xattrs-include=*", "-xpf", tar)
	})
	// More than there are CPUs, because the scripts wait most of the time.
	turns := make(chan struct{}, 2*runtime.NumCPU())
	results := make(chan error, len(names))
	for _, name := range names {
		go func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			results <- func() error {
				output, err := cached(filepath.Join(cache, "results", "services", name), inputs[name], func() ([]byte, error) {
					if err := unpack(); err != nil {
						return nil, err
					}
					fmt.Fprintf(os.Stderr, "%s as real root\n", name)
					return runServiceAsRoot(work, base, name)
				})
				if err != nil {
					return fmt.Errorf("as root in a chroot: %w", err)
				}
				return os.WriteFile(filepath.Join(work, "expected", "services", name), output, 0o644)
			}()
		}()
	}
	for range names {
		err = errors.Join(err, <-results)
	}
	return errors.Join(err, os.RemoveAll(base))
}

// runServiceAsRoot runs one script as real root in a copy of base.
func runServiceAsRoot(work, base, name string) ([]byte, error) {
	rootfs := base + "-" + name
	if err := runCommand("cp", "-a", base, rootfs); err != nil {
		return nil, err
	}
	defer os.RemoveAll(rootfs)
	// PR_SET_PDEATHSIG refers to this very thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out, err := runScript(work, rootfs, name, chrooted(work))
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	return out, nil
}

// chrooted returns a container of real root, which ends with the thread that starts
// it.
func chrooted(work string) container {
	return func(ctx context.Context, rootfs string, command ...string) *exec.Cmd {
		args := append([]string{filepath.Join(work, "testdata", "services", "chroot"), rootfs}, command...)
		cmd := exec.CommandContext(ctx, "sh", args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
		return cmd
	}
}

func runCommand(argv ...string) error {
	ctx, cancel := limited(context.Background())
	defer cancel()
	if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", argv, err, out)
	}
	return nil
}

// serviceInputs returns, for each script, a checksum of everything that its output
// depends on: the script, the files that it uses, the root file system and the kernel.
func serviceInputs(work, tar string) (map[string]string, error) {
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
	inputs := map[string]string{}
	for _, name := range names {
		sum := sha256.New()
		sum.Write(shared.Sum(nil))
		script := filepath.Join(work, "testdata", "services", name)
		if err := addFiles(sum, script+".sh", script+".again.sh"); err != nil {
			return nil, err
		}
		inputs[name] = fmt.Sprintf("%x", sum.Sum(nil))
	}
	return inputs, nil
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
