package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// mountAnswers mounts the file system of the program in the directory answers, if the kernel has
// FUSE, and gives the user directories of it. The caller calls unmount at the end.
func mountAnswers(work string, user int) (unmount func(), err error) {
	dir, data := filepath.Join(work, "answers"), filepath.Join(work, "answers.data")
	if unix.Access("/dev/fuse", unix.R_OK) != nil {
		return func() {}, nil
	}
	// By its time, subuidless knows whether a file system of FUSE is the one that had the owners.
	if err := unix.Mount("fusectl", "/sys/fs/fuse/connections", "fusectl", 0, ""); err != nil && err != unix.EBUSY {
		return nil, fmt.Errorf("mounting fusectl: %w", err)
	}
	for _, d := range []string{dir, data} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return nil, err
		}
	}
	for _, set := range []string{"OK", "DROP", "E2BIG", "EACCES", "EINVAL", "ENODATA", "ENOTSUP", "EPERM", "EIO", "ESTALE", "EROFS", "ENOSPC", "EDQUOT"} {
		for _, get := range []string{set, "ENODATA", "ENOTSUP"} {
			d := filepath.Join(data, set+"-"+get)
			if err := os.MkdirAll(d, 0o755); err != nil {
				return nil, err
			}
			if err := os.Chown(d, user, user); err != nil {
				return nil, err
			}
		}
	}
	server := exec.Command(filepath.Join(work, "bin", "answers"), dir, data)
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := server.Start(); err != nil {
		return nil, err
	}
	if _, err := fmt.Fscanln(out, new(string)); err != nil { // "mounted"
		return nil, fmt.Errorf("mounting %s: %w", dir, server.Wait())
	}
	return func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			fmt.Fprintln(os.Stderr, "unmounting", dir+":", err)
			_ = server.Process.Kill()
		}
		_ = server.Wait()
	}, nil
}
