package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/reference"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/image/transfer"
)

// listed is an image as images prints it.
type listed struct {
	Repository string
	Tag        string
	Digest     string
	ID         string
	Created    time.Time
	Size       int64 // of the compressed layers, in bytes
}

func newImagesCommand() *cobra.Command {
	var where cli.StoreFlags
	var quiet, digests, full bool
	var format string
	cmd := &cobra.Command{
		Use: "images [flags] [NAME]",
		Long: `List the images of the store, or those whose repository or complete name is NAME.
The size is that of the compressed layers.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := openStore(where)
			if err != nil {
				return err
			}
			images, err := s.Images()
			if err != nil {
				return err
			}
			if len(args) > 0 {
				if images, err = named(images, args[0]); err != nil {
					return err
				}
			}
			var list []listed
			for _, i := range images {
				list = append(list, describeImage(i, full))
			}
			switch {
			case format == "json":
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetIndent("", "    ")
				return e.Encode(append([]listed{}, list...))
			case format != "":
				return fmt.Errorf("format %q: only json is supported", format)
			case quiet:
				for _, l := range list {
					fmt.Fprintln(cmd.OutOrStdout(), l.ID)
				}
				return nil
			}
			return printImages(cmd.OutOrStdout(), list, digests)
		},
		ValidArgsFunction: imageNames,
	}
	flags := cmd.Flags()
	flags.BoolVarP(&quiet, "quiet", "q", false, "print ids only")
	flags.BoolVar(&digests, "digests", false, "show the digests by which registries know the images")
	flags.BoolVar(&full, "no-trunc", false, "do not shorten ids")
	flags.StringVar(&format, "format", "", "`json` prints JSON")
	where.Add(cmd)
	return cmd
}

// named returns the images that text names.
func named(images []*store.Image, text string) ([]*store.Image, error) {
	known, err := registries()
	if err != nil {
		return nil, err
	}
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

func describeImage(i *store.Image, full bool) listed {
	l := listed{Repository: i.Repository, Tag: "<none>", Digest: i.Digest.String(), ID: i.ID().String(), Created: i.Config.Created.Time, Size: i.Size()}
	if l.Repository == "" {
		l.Repository = "<none>"
	}
	if rest := i.Name[min(len(i.Name), len(i.Repository)):]; len(rest) > 1 && rest[0] == ':' {
		l.Tag = rest[1:]
	}
	if !full {
		l.ID = i.ID().Hex[:12]
	}
	return l
}

func printImages(w io.Writer, list []listed, digests bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	digest := func(text string) string {
		if digests {
			return text + "\t"
		}
		return ""
	}
	fmt.Fprintf(t, "REPOSITORY\tTAG\t%sIMAGE ID\tCREATED\tSIZE\n", digest("DIGEST"))
	for _, l := range list {
		fmt.Fprintf(t, "%s\t%s\t%s%s\t%s\t%s\n", l.Repository, l.Tag, digest(l.Digest), l.ID, ago(l.Created), transfer.Bytes(l.Size))
	}
	return t.Flush()
}
