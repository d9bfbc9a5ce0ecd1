package build

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/rootless-containers/subuidless/internal/image/build/dockerfile"
	"github.com/rootless-containers/subuidless/internal/image/transfer"
)

// check evaluates a stage and those that it uses, without executing them. It returns what a stage begins
// with that is based on this one.
func (t *target) check(ctx context.Context, s *dockerfile.Stage) (*dockerfile.Base, error) {
	return t.checked.get(s, func() (*dockerfile.Base, error) {
		for _, r := range s.Refs() {
			if r.Stage == nil {
				continue
			}
			if _, err := t.check(ctx, r.Stage); err != nil {
				return nil, err
			}
		}
		base, err := t.checkBase(ctx, s)
		if err != nil {
			return nil, t.at(s.Line, err)
		}
		result, err := s.Evaluate(*base)
		if err != nil {
			return nil, err
		}
		return &result.After, nil
	})
}

// checkBase returns what a stage begins with.
func (t *target) checkBase(ctx context.Context, s *dockerfile.Stage) (*dockerfile.Base, error) {
	if s.Base.Stage != nil {
		return t.check(ctx, s.Base.Stage)
	}
	platform := s.Platform
	if platform == "" {
		platform = t.platform
	}
	name := s.Base.Image
	if s.Base.Context != "" {
		name = t.Contexts.find(s.Base.Context).Image
	}
	if name == "" { // nothing, or a directory
		empty, err := scratch(platform)
		return &empty.base, err
	}
	o := t.Transfer
	o.Platform, o.Warn = platform, t.warn
	raw, err := transfer.FindOrFetchConfig(ctx, t.store, name, t.Pull, o)
	if err != nil {
		return nil, err
	}
	base := new(dockerfile.Base)
	if err := json.Unmarshal(raw, &base.Image); err != nil {
		return nil, fmt.Errorf("image %s: its configuration: %w", name, err)
	}
	return base, nil
}
