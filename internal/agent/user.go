package agent

import (
	"fmt"

	"github.com/rootless-containers/subuidless/internal/agentproto"
	"github.com/rootless-containers/subuidless/internal/bundle"
	"github.com/rootless-containers/subuidless/internal/identity"
)

// processUser returns the user of the container's program: the one in the annotation that
// subuidless spec writes, or else the one in the bundle's config.json. It returns nil if
// neither is known, or if config.json says root: processes start as root anyway.
func processUser(process *agentproto.Process) (*identity.User, error) {
	user, err := bundle.AnnotatedUser(process.Annotations)
	if err != nil {
		return nil, err
	}
	if user == nil {
		if process.Bundle == "" {
			return nil, nil
		}
		if user, err = bundle.User(process.Bundle); err != nil {
			return nil, fmt.Errorf("the user of container %s: %w", process.ContainerID, err)
		}
		if user.UID == 0 && user.GID == 0 && len(user.AdditionalGids) == 0 {
			return nil, nil
		}
	}
	return &identity.User{UID: user.UID, GID: user.GID, AdditionalGids: user.AdditionalGids}, nil
}
