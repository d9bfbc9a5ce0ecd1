package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
)

// orders are the orders of a list, by the values of --sort.
type orders[T any] map[string]func(a, b T) int

// by is an order by what key returns.
func by[T any, K cmp.Ordered](key func(T) K) func(a, b T) int {
	return func(a, b T) int { return cmp.Compare(key(a), key(b)) }
}

// add adds podman's flag --sort to a command. The default is an order in words.
func (o orders[T]) add(cmd *cobra.Command, value *string, byDefault string) {
	names := slices.Sorted(maps.Keys(o))
	cmd.Flags().StringVar(value, "sort", "", fmt.Sprintf("sort by a `key`: %s (default %s)", strings.Join(names, ", "), byDefault))
	cli.CompleteFlag(cmd, "sort", names...)
}

// sort sorts a list, unless by is empty. Those that are equal stay in their order.
func (o orders[T]) sort(list []T, by string) error {
	if by == "" {
		return nil
	}
	order, found := o[by]
	if !found {
		return fmt.Errorf("--sort %s: must be one of %s", by, strings.Join(slices.Sorted(maps.Keys(o)), ", "))
	}
	slices.SortStableFunc(list, order)
	return nil
}
