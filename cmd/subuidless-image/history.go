package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/image/transfer"
)

func newHistoryCommand() *cobra.Command {
	var where cli.StoreFlags
	var full, quiet bool
	cmd := &cobra.Command{
		Use:  "history [flags] IMAGE",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, known, err := openStoreAndRegistries(where)
			if err != nil {
				return err
			}
			image, err := s.Find(args[0], known.Aliases)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 3, ' ', 0)
			if !quiet {
				fmt.Fprintln(w, "LAYER\tCREATED\tCREATED BY\tSIZE\tCOMMENT")
			}
			for _, step := range steps(image) {
				layer := "<none>"
				if step.layer != nil {
					layer = step.layer.Digest.Hex
					if !full {
						layer = layer[:12]
					}
				}
				if quiet {
					fmt.Fprintln(w, layer)
					continue
				}
				by := strings.Join(strings.Fields(step.CreatedBy), " ")
				if runes := []rune(by); !full && len(runes) > 45 {
					by = string(runes[:44]) + "…"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", layer, ago(step.Created.Time), by, transfer.Bytes(step.size()), step.Comment)
			}
			return w.Flush()
		},
		ValidArgsFunction: imageNames,
	}
	cmd.Flags().BoolVar(&full, "no-trunc", false, "do not shorten what is printed")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print the layers' digests only")
	where.Add(cmd)
	return cmd
}

// step is a step of building an image.
type step struct {
	v1.History
	layer *v1.Descriptor // nil if it has made none
}

func (s *step) size() int64 {
	if s.layer == nil {
		return 0
	}
	return s.layer.Size
}

// steps returns the steps of an image, the last one first. Layers without a step have one that
// says nothing.
func steps(image *store.Image) []step {
	layers := image.Manifest.Layers
	var all []step
	for _, h := range image.Config.History {
		s := step{History: h}
		if !h.EmptyLayer && len(layers) > 0 {
			s.layer, layers = &layers[0], layers[1:]
		}
		all = append(all, s)
	}
	for i := range layers {
		all = append(all, step{layer: &layers[i]})
	}
	slices.Reverse(all)
	return all
}
