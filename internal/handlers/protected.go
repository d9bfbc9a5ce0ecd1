package handlers

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/rootless-containers/subuidless/internal/perm"
)

// ReadProtected returns the fs.protected_* settings of this kernel. Those that the kernel
// does not know are 0.
func ReadProtected() (perm.Protected, error) {
	var p perm.Protected
	var errs []error
	for name, value := range map[string]*int{
		"hardlinks": &p.Hardlinks, "symlinks": &p.Symlinks, "fifos": &p.FIFOs, "regular": &p.Regular,
	} {
		path := "/proc/sys/fs/protected_" + name
		b, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			*value, err = strconv.Atoi(strings.TrimSpace(string(b)))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("reading %s: %w", path, err))
		}
	}
	return p, errors.Join(errs...)
}
