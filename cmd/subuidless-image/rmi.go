package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/store"
)

func newRmiCommand() *cobra.Command {
	var where cli.StoreFlags
	var all, force, noPrune bool
	cmd := &cobra.Command{
		Use: "rmi [flags] IMAGE...",
		Long: `Remove names of images, and images that have no other name. IMAGE is a name or an
id. An id removes all names of the image; if there are several, that needs --force.
Files that no other image and no container needs are removed, too.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 != all {
				return errors.New("rmi: give IMAGE, or --all without one")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := openStore(where)
			if err != nil {
				return err
			}
			if all {
				images, damaged, err := s.Images()
				if err != nil {
					return err
				}
				force = true
				for _, i := range images {
					args = append(args, i.ID().Hex)
				}
				for _, d := range damaged {
					args = append(args, d.Image.Entry.Digest.Hex)
				}
			}
			var errs []error
			for _, arg := range args {
				err := removeImage(s, cmd.OutOrStdout(), arg, force)
				if force && errors.Is(err, store.ErrNotFound) {
					err = nil // with --all, a name of one that is removed already
				}
				errs = append(errs, err)
			}
			if !noPrune {
				p, err := s.Prune(store.PruneOptions{Waiting: printWaiting})
				if err == nil {
					printKept(p)
				}
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		},
		ValidArgsFunction: imageNames,
	}
	flags := cmd.Flags()
	flags.BoolVarP(&all, "all", "a", false, "remove all images")
	flags.BoolVarP(&force, "force", "f", false, "also remove images with several names, and those that containers use; do not fail\nif there is no such image")
	flags.BoolVar(&noPrune, "no-prune", false, "keep the files, for subuidless prune")
	where.Add(cmd)
	return cmd
}

// removeImage removes the image or name that text names.
func removeImage(s *store.Store, w io.Writer, text string, force bool) error {
	known, err := registries()
	if err != nil {
		return err
	}
	image, err := s.Find(text, known.Aliases)
	if damaged := (*store.DamagedImage)(nil); errors.As(err, &damaged) {
		image, err = damaged.Image, nil
	}
	if err != nil {
		return err
	}
	names, err := namesOf(s, image)
	if err != nil {
		return err
	}
	byName := image.Name != "" && s.IsName(text, known.Aliases)
	if !force && (!byName || len(names) < 2) {
		if err := unused(s, image); err != nil {
			return err
		}
	}
	if byName {
		gone, err := s.Untag(image.Name)
		if err != nil {
			return err
		}
		fmt.Fprintln(w, "Untagged:", image.Name)
		if gone {
			fmt.Fprintln(w, "Deleted:", idOrDigest(image))
		}
		return nil
	}
	if len(names) > 1 && !force {
		return fmt.Errorf("image %s has several names: %q; remove those that you do not need, or use --force", text, names)
	}
	removed, err := s.Forget(image.Entry.Digest)
	if err != nil {
		return err
	}
	for _, name := range removed {
		fmt.Fprintln(w, "Untagged:", name)
	}
	fmt.Fprintln(w, "Deleted:", idOrDigest(image))
	return nil
}

// idOrDigest returns the id of the image, or the digest in index.json if a damaged one has none.
func idOrDigest(image *store.Image) v1.Hash { return cmp.Or(image.ID(), image.Entry.Digest) }

// namesOf returns the names of the image.
func namesOf(s *store.Store, image *store.Image) ([]string, error) {
	images, damaged, err := s.Images()
	if err != nil {
		return nil, err
	}
	for _, d := range damaged {
		images = append(images, d.Image)
	}
	var names []string
	for _, i := range images {
		if i.Entry.Digest == image.Entry.Digest && i.Name != "" {
			names = append(names, i.Name)
		}
	}
	return names, nil
}

// unused returns an error if a container uses the image.
func unused(s *store.Store, image *store.Image) error {
	containers, _, err := s.Containers()
	if err != nil {
		return err
	}
	for _, c := range containers {
		if image.HasID(c.ImageID) {
			return fmt.Errorf("image %s: container %s uses it; remove that one first (subuidless rm %s), or use --force", image.ID().Hex[:12], c.Name, c.Name)
		}
	}
	return nil
}
