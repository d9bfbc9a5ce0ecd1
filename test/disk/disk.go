// Package disk makes file systems on disk for tests.
package disk

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// size is the size of an image, in bytes. mkfs.xfs needs 300 MiB; an image is sparse.
const size = 320 << 20

// Mount makes a new file system of a kind for which there is a program mkfs.KIND that knows -q,
// such as btrfs, ext4 or xfs, in the new file image, and mounts it on the directory dir. It needs
// root and a loop device, which is free again when the file system is unmounted.
func Mount(kind, image, dir string) error {
	f, err := os.OpenFile(image, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		return err
	}
	for _, argv := range [][]string{{"mkfs." + kind, "-q", image}, {"mount", "-t", kind, "-o", "loop", image, dir}} {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", argv[0], err, out)
		}
	}
	return nil
}
