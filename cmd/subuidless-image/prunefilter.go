package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/running"
	"github.com/rootless-containers/subuidless/internal/image/store"
)

// pruneFlags are the flags that all commands have that remove what nothing needs.
type pruneFlags struct {
	where   cli.StoreFlags
	force   bool
	filters []string
	keys    []string // that --filter knows
}

// add adds the flags to cmd. Keys are those of parsePruneFilters.
func (f *pruneFlags) add(cmd *cobra.Command, keys ...string) {
	f.keys = keys
	cmd.Flags().BoolVarP(&f.force, "force", "f", false, "do not ask")
	cmd.Flags().StringArrayVar(&f.filters, "filter", nil, "remove only what fits `KEY=VALUE`: "+strings.Join(keys, ", ")+" and label!; may be repeated")
	f.where.Add(cmd)
}

// open opens the store, and returns it with what fits the filters.
func (f *pruneFlags) open() (*store.Store, store.Match, error) {
	s, err := openStore(f.where)
	if err != nil {
		return nil, nil, err
	}
	match, err := parsePruneFilters(f.filters, f.keys...)
	return s, match, err
}

// ask asks the user the question, unless --force is given. It returns an error if the answer is no.
func (f *pruneFlags) ask(question string) error {
	if f.force {
		return nil
	}
	return ask(question)
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
