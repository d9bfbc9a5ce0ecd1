package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/reference"
)

func newTagCommand() *cobra.Command {
	var where cli.StoreFlags
	cmd := &cobra.Command{
		Use:  "tag IMAGE NAME...",
		Args: cobra.MinimumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			s, known, err := openStoreAndRegistries(where)
			if err != nil {
				return err
			}
			use, err := s.Use()
			if err != nil {
				return err
			}
			defer use.Unlock()
			image, err := s.Find(args[0], known.Aliases)
			if err != nil {
				return err
			}
			for _, arg := range args[1:] {
				// Without aliases, as in docker: they say where to pull from.
				ref, err := reference.Parse(arg, nil)
				if err != nil {
					return err
				}
				if ref.Transport != reference.Registry || ref.HasDigest() {
					return fmt.Errorf("%q: a name must not have a digest or a transport", arg)
				}
				if err := s.Tag(image.Entry, image.Digest, ref.Name); err != nil {
					return err
				}
			}
			return nil
		},
		ValidArgsFunction: imageNames,
	}
	where.Add(cmd)
	return cmd
}
