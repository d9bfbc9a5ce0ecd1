package handlers

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/rootless-containers/subuidless/internal/perm"
)

// strictest has the value of each setting that refuses most.
var strictest = perm.Protected{Hardlinks: 1, Symlinks: 1, FIFOs: 2, Regular: 2}

// ReadProtected returns the fs.protected_* settings of this kernel. Those that the kernel
// does not know are 0. Before Linux 5.11 only the host's root may read them: those are assumed to
// be the strictest.
func ReadProtected() (perm.Protected, error) {
	var p perm.Protected
	var errs []error
	for _, setting := range []struct {
		name    string
		value   *int
		assumed int
	}{
		{"hardlinks", &p.Hardlinks, strictest.Hardlinks}, {"symlinks", &p.Symlinks, strictest.Symlinks},
		{"fifos", &p.FIFOs, strictest.FIFOs}, {"regular", &p.Regular, strictest.Regular},
	} {
		path := "/proc/sys/fs/protected_" + setting.name
		b, err := os.ReadFile(path)
		switch {
		case errors.Is(err, os.ErrNotExist):
			continue
		case errors.Is(err, os.ErrPermission):
			*setting.value, err = setting.assumed, nil
		case err == nil:
			*setting.value, err = strconv.Atoi(strings.TrimSpace(string(b)))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("reading %s: %w", path, err))
		}
	}
	return p, errors.Join(errs...)
}
