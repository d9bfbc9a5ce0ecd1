package doctor

import (
	"strings"

	"github.com/rootless-containers/subuidless/internal/isolation"
)

// isolated is how containers run on a machine: the mode, and why it is not isolation.Namespaces, or
// err if none works.
type isolated struct {
	mode   isolation.Mode
	reason error
	err    error
}

// tryIsolation finds out how containers run.
func tryIsolation() isolated {
	f, err := isolation.Examine()
	if err != nil {
		return isolated{err: err}
	}
	m, err := f.Choose()
	return isolated{m, f.Namespaces, err}
}

// waysToRun reports how containers run, and why.
func waysToRun(m *Machine) (string, error) {
	w := m.isolation()
	if w.err != nil {
		return "", w.err
	}
	switch w.mode {
	case isolation.Nested:
		return "new namespaces, in a container whose supervisor emulates all ids", nil
	case isolation.Chroot:
		return strings.Join([]string{
			"chroot with native ids: build, pull, push, run, exec and so on work, with all owners",
			"not available: podman and other engines, volumes, --network=none, /proc (docs/chroot.md)",
			"reason: " + w.reason.Error(),
		}, "\n"), nil
	}
	return "new namespaces, with a supervisor that emulates all ids", nil
}
