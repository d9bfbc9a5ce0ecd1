package doctor

import "github.com/rootless-containers/subuidless/internal/userns"

// userNamespace checks whether a user namespace can be created, and a mount namespace in it.
func userNamespace(*Machine) (string, error) {
	if err := userns.Try(); err != nil {
		return "", err
	}
	return "with a single mapped id", nil
}
