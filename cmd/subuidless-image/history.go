package main

import (
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/image/transfer"
)

// historyRow is a step for templates, by the names of docker's fields. ID is that of its layer.
type historyRow struct{ ID, CreatedSince, CreatedAt, CreatedBy, Size, Comment string }

const historyTable = "table {{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"

// historyHeaders are the headers of the columns, by field.
var historyHeaders = map[string]string{"ID": "LAYER", "CreatedSince": "CREATED", "CreatedAt": "CREATED AT", "CreatedBy": "CREATED BY"}

func newHistoryCommand() *cobra.Command {
	var where cli.StoreFlags
	var full, human bool
	var out listFlags
	cmd := &cobra.Command{
		Use: "history [flags] IMAGE",
		Long: `List the steps that built an image, the last one first.

The fields of --format are ID, CreatedSince, CreatedAt, CreatedBy, Size and Comment.`,
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
			rows := []historyRow{}
			for _, step := range steps(image) {
				rows = append(rows, step.row(full, human))
			}
			return formatList(cmd.OutOrStdout(), rows, out.template(historyTable), historyHeaders)
		},
		ValidArgsFunction: imageNames,
	}
	flags := cmd.Flags()
	flags.BoolVar(&full, "no-trunc", false, "do not shorten what is printed")
	flags.BoolVarP(&human, "human", "H", true, "print sizes with units, and how long ago; with =false, bytes and times")
	out.add(flags, "print the layers' digests only")
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

// row returns what is printed of a step.
func (s *step) row(full, human bool) historyRow {
	r := historyRow{
		ID: "<none>", CreatedSince: ago(s.Created.Time), CreatedAt: s.Created.Format(time.RFC3339),
		CreatedBy: strings.Join(strings.Fields(s.CreatedBy), " "), Size: transfer.Bytes(s.size()), Comment: s.Comment,
	}
	if !human {
		r.CreatedSince, r.Size = r.CreatedAt, strconv.FormatInt(s.size(), 10)
	}
	if s.layer != nil {
		r.ID = s.layer.Digest.Hex
	}
	if full {
		return r
	}
	r.ID = r.ID[:min(12, len(r.ID))]
	if runes := []rune(r.CreatedBy); len(runes) > 45 {
		r.CreatedBy = string(runes[:44]) + "…"
	}
	return r
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
