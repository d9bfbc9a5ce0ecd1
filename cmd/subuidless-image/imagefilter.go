package main

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/rootless-containers/subuidless/internal/image/reference"
	"github.com/rootless-containers/subuidless/internal/image/store"
)

// imageFilter reports whether an image is wanted.
type imageFilter func(*store.Image) bool

// parseImageFilters returns the filter of docker's --filter KEY=VALUE. References are
// alternatives; everything else must fit.
func parseImageFilters(s *store.Store, known *reference.Registries, texts []string) (imageFilter, error) {
	var all, references []imageFilter
	for _, text := range texts {
		key, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("filter %q: must be KEY=VALUE", text)
		}
		f, err := parseImageFilter(s, known, key, value)
		if err != nil {
			return nil, err
		}
		if key == "reference" {
			references = append(references, f)
		} else {
			all = append(all, f)
		}
	}
	return func(i *store.Image) bool {
		fits := func(f imageFilter) bool { return f(i) }
		return !slices.ContainsFunc(all, func(f imageFilter) bool { return !f(i) }) &&
			(len(references) == 0 || slices.ContainsFunc(references, fits))
	}, nil
}

func parseImageFilter(s *store.Store, known *reference.Registries, key, value string) (imageFilter, error) {
	switch key {
	case "dangling":
		want, err := strconv.ParseBool(value)
		if err != nil {
			return nil, fmt.Errorf("filter dangling=%s: must be true or false", value)
		}
		return func(i *store.Image) bool { return (i.Name == "") == want }, nil
	case "label":
		return func(i *store.Image) bool { return store.HasLabel(i.Config.Config.Labels, value) }, nil
	case "reference":
		if _, err := path.Match(value, ""); err != nil {
			return nil, fmt.Errorf("filter reference=%s: %w", value, err)
		}
		return func(i *store.Image) bool { return matchesReference(value, i.Name) }, nil
	case "before", "since":
		other, err := s.Find(value, known.Aliases)
		if err != nil {
			return nil, err
		}
		created := other.Config.Created.Time
		return func(i *store.Image) bool {
			if key == "before" {
				return i.Config.Created.Before(created)
			}
			return i.Config.Created.After(created)
		}, nil
	}
	return nil, fmt.Errorf("filter %s: must be before, dangling, label, reference or since", key)
}

// matchesReference reports whether the complete name of an image fits a pattern as in path.Match.
// The pattern may leave out what docker leaves out of names, and the tag.
func matchesReference(pattern, name string) bool {
	familiar := strings.TrimPrefix(name, "docker.io/")
	for _, n := range []string{name, familiar, strings.TrimPrefix(familiar, "library/")} {
		for _, whole := range []string{n, reference.Repository(n)} {
			if ok, _ := path.Match(pattern, whole); ok && name != "" { // the pattern is valid
				return true
			}
		}
	}
	return false
}
