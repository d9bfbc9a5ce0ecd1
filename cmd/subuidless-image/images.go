package main

import (
	"cmp"
	"slices"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/reference"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/image/transfer"
)

// imageRow is an image for templates, by the names of docker's fields.
type imageRow struct{ ID, Repository, Tag, Digest, CreatedSince, CreatedAt, Size string }

const (
	imagesTable        = "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
	imagesTableDigests = "table {{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
)

// imageHeaders are the headers of the columns, by field.
var imageHeaders = map[string]string{"ID": "IMAGE ID", "CreatedSince": "CREATED", "CreatedAt": "CREATED AT"}

// imageOrders are those of podman.
var imageOrders = orders[*store.Image]{
	"created":    func(a, b *store.Image) int { return b.Config.Created.Compare(a.Config.Created.Time) },
	"id":         by(func(i *store.Image) string { return i.ID().Hex }),
	"repository": by(func(i *store.Image) string { return i.Repository }),
	"size":       by((*store.Image).Size),
	"tag":        by(tagOf),
}

func newImagesCommand() *cobra.Command {
	var where cli.StoreFlags
	var all, digests, full bool
	var out listFlags
	var filters []string
	var order string
	cmd := &cobra.Command{
		Use: "images [flags] [NAME]",
		Long: `List the images of the store, or those with the repository or complete name NAME.
The size is that of the compressed layers.

The fields of --format are ID, Repository, Tag, Digest, CreatedSince, CreatedAt and
Size. The keys of --filter are before, dangling, label, reference and since.`,
		Example: `  subuidless images --filter dangling=true -q
  subuidless images --filter reference='*/postgres:17*' --format '{{.Repository}}:{{.Tag}} {{.Size}}'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, known, err := openStoreAndRegistries(where)
			if err != nil {
				return err
			}
			wanted, err := parseImageFilters(s, known, filters)
			if err != nil {
				return err
			}
			images, damaged, err := s.Images()
			if err != nil {
				return err
			}
			printDamaged(damaged)
			if len(args) > 0 {
				if images, err = named(images, args[0], known); err != nil {
					return err
				}
			}
			images = slices.DeleteFunc(images, func(i *store.Image) bool { return !wanted(i) })
			if err := imageOrders.sort(images, cmp.Or(order, "created")); err != nil {
				return err
			}
			rows := []imageRow{}
			for _, i := range images {
				rows = append(rows, rowOf(i, full))
			}
			table := imagesTable
			if digests {
				table = imagesTableDigests
			}
			return formatList(cmd.OutOrStdout(), rows, out.template(table), imageHeaders)
		},
		ValidArgsFunction: imageNames,
	}
	flags := cmd.Flags()
	flags.BoolVarP(&all, "all", "a", false, "accepted as in docker: there are no intermediate images")
	out.add(flags, "print ids only")
	flags.BoolVar(&digests, "digests", false, "show the digests by which registries know the images")
	flags.BoolVar(&full, "no-trunc", false, "do not shorten ids")
	flags.StringArrayVarP(&filters, "filter", "f", nil, "list only images with `KEY=VALUE`; may be repeated")
	imageOrders.add(cmd, &order, "created, the newest first")
	where.Add(cmd)
	return cmd
}

// named returns the images that text names.
func named(images []*store.Image, text string, known *reference.Registries) ([]*store.Image, error) {
	ref, err := reference.Parse(text, known.Aliases)
	if err != nil {
		return nil, err
	}
	var found []*store.Image
	for _, i := range images {
		if i.Name == ref.Name || i.Repository == reference.Repository(ref.Name) && reference.Repository(text) == text {
			found = append(found, i)
		}
	}
	return found, nil
}

func rowOf(i *store.Image, full bool) imageRow {
	created := i.Config.Created.Time
	r := imageRow{
		ID: i.ID().String(), Repository: cmp.Or(i.Repository, "<none>"), Tag: cmp.Or(tagOf(i), "<none>"), Digest: i.Digest.String(),
		CreatedSince: ago(created), CreatedAt: created.Format("2006-01-02 15:04:05 -0700 MST"), Size: transfer.Bytes(i.Size()),
	}
	if !full {
		r.ID = i.ID().Hex[:12]
	}
	return r
}

// tagOf returns the tag of the image's name; empty: it has none.
func tagOf(i *store.Image) string {
	if rest := i.Name[min(len(i.Name), len(i.Repository)):]; len(rest) > 1 && rest[0] == ':' {
		return rest[1:]
	}
	return ""
}
