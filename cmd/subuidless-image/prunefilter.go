package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/internal/image/running"
	"github.com/rootless-containers/subuidless/internal/image/store"
)

// addPruneFilter adds --filter to a command. Keys are those that parsePruneFilters gets.
func addPruneFilter(cmd *cobra.Command, filters *[]string, keys string) {
	cmd.Flags().StringArrayVar(filters, "filter", nil, "remove only what fits `KEY=VALUE`: "+keys+"; may be repeated")
}

// parsePruneFilters returns what fits all of the filters: until=TIME, label=K[=V] and label!=K[=V]. Keys
// are those that are allowed, label for both of its forms. It returns nil if there are no filters.
func parsePruneFilters(texts []string, keys ...string) (store.Match, error) {
	var all []store.Match
	for _, text := range texts {
		key, value, ok := strings.Cut(text, "=")
		label, negated := strings.CutSuffix(key, "!")
		if !ok || value == "" || !slices.Contains(keys, label) || negated && label != "label" {
			return nil, fmt.Errorf("--filter %s: must be label!=VALUE, or KEY=VALUE with the KEY %s", text, strings.Join(keys, " or "))
		}
		if key == "until" {
			until, err := running.ParseTime(value)
			if err != nil {
				return nil, fmt.Errorf("--filter %s: %w", text, err)
			}
			all = append(all, func(_ map[string]string, created time.Time) bool { return created.Before(until) })
			continue
		}
		all = append(all, func(labels map[string]string, _ time.Time) bool { return store.HasLabel(labels, value) != negated })
	}
	if len(all) == 0 {
		return nil, nil
	}
	return func(labels map[string]string, created time.Time) bool {
		return !slices.ContainsFunc(all, func(f store.Match) bool { return !f(labels, created) })
	}, nil
}
