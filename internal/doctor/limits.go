package doctor

import (
	"strings"

	"github.com/rootless-containers/subuidless/internal/cgroup"
)

// limits reports whether containers can have limits of their own.
func limits(*Machine) (string, error) {
	base, controllers, err := cgroup.Examine()
	if err != nil {
		return "", err
	}
	return "by the controllers " + strings.Join(controllers, ", ") + " of " + base, nil
}
