package launch

import (
	"fmt"
	"strings"
	"syscall"

	"github.com/docker/go-units"
	"golang.org/x/sys/unix"
)

// ParseLimit checks a resource limit in docker's form, NAME=SOFT[:HARD], in which -1 means no limit,
// and returns it with both values. The names are those of getrlimit(2), in lower case.
func ParseLimit(text string) (string, error) {
	u, err := units.ParseUlimit(text)
	if err != nil {
		return "", err
	}
	if u.Hard < -1 || u.Soft < -1 {
		return "", fmt.Errorf("%q: a limit must be -1, for none, or at least 0", text)
	}
	return u.String(), nil
}

// applyLimits sets limits for this process: a list, separated by commas, of what ParseLimit returns.
func applyLimits(list string) error {
	if list == "" {
		return nil
	}
	for text := range strings.SplitSeq(list, ",") {
		u, err := units.ParseUlimit(text)
		if err != nil {
			return err
		}
		r, err := u.GetRlimit()
		if err != nil {
			return err
		}
		// Not that of package unix: this one keeps Go from restoring RLIMIT_NOFILE at execve.
		if err := syscall.Setrlimit(r.Type, &syscall.Rlimit{Cur: r.Soft, Max: r.Hard}); err != nil {
			return fmt.Errorf("--ulimit %s: %w", text, explainLimit(err, r))
		}
	}
	return nil
}

// explainLimit says what the limit of the caller is, if that is why r cannot be set.
func explainLimit(err error, r *units.Rlimit) error {
	var have unix.Rlimit
	if err == unix.EPERM && unix.Getrlimit(r.Type, &have) == nil && r.Hard > have.Max {
		return fmt.Errorf("%w: the caller's hard limit is %d", err, have.Max)
	}
	return err
}
