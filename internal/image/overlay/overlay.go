// Package overlay mounts stacks of directories with overlayfs in a user namespace.
package overlay

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Mount is a mount of overlayfs.
type Mount struct {
	Dir   string   // absolute path of a directory; the other paths are relative to it
	Lower []string // the read-only directories, the topmost first
	Upper string   // what the container changes; empty: the mount is read-only
	Work  string   // an empty directory of the same file system, for the kernel
}

// On mounts m on the directory target. It changes the working directory. A nil Mount is none.
//
// The kernel limits the options to a page of memory, so paths are relative and have no
// characters that it would have to unescape.
func (m *Mount) On(target string) error {
	if m == nil {
		return nil
	}
	if err := os.Chdir(m.Dir); err != nil {
		return err
	}
	// userxattr: in a user namespace, overlayfs uses user.overlay.* instead of trusted.*.
	options := "userxattr,lowerdir=" + strings.Join(m.Lower, ":")
	if m.Upper != "" {
		options += ",upperdir=" + m.Upper + ",workdir=" + m.Work
	}
	if err := unix.Mount("overlay", target, "overlay", 0, options); err != nil {
		return fmt.Errorf("mounting the image's layers with overlayfs: %w (try --storage-driver=copy)", err)
	}
	return nil
}

// Probe checks whether the kernel lets root of a user namespace use overlayfs on the
// file system of the empty directory dir, and leaves files in it. The caller is in a mount
// namespace of its own.
func Probe(dir string) error {
	if err := os.Chdir(dir); err != nil {
		return err
	}
	for _, sub := range []string{"lower", "upper", "work", "merged"} {
		if err := os.Mkdir(sub, 0o700); err != nil {
			return err
		}
	}
	if err := os.WriteFile("lower/file", nil, 0o600); err != nil {
		return err
	}
	m := &Mount{Dir: dir, Lower: []string{"lower"}, Upper: "upper", Work: "work"}
	if err := m.On("merged"); err != nil {
		return err
	}
	defer unix.Unmount("merged", unix.MNT_DETACH)
	// A whiteout and an attribute are what overlayfs needs of the file system.
	if err := unix.Setxattr("merged/file", "user.subuidless-probe", []byte("x"), 0); err != nil {
		return fmt.Errorf("setting an attribute through overlayfs: %w", err)
	}
	if err := os.Remove("merged/file"); err != nil {
		return fmt.Errorf("removing a file through overlayfs: %w", err)
	}
	return nil
}
