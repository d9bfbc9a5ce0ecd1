package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/container"
	"github.com/rootless-containers/subuidless/internal/image/store"
)

// inspected is an image as docker inspect prints it.
type inspected struct {
	Id           string //nolint:revive // docker's name
	RepoTags     []string
	RepoDigests  []string
	Digest       string
	Created      time.Time
	Comment      string
	Author       string
	Architecture string
	Variant      string
	Os           string
	Size         int64
	VirtualSize  int64
	Labels       map[string]string // as podman shows them
	Config       v1.Config
	RootFS       struct {
		Type   string
		Layers []v1.Hash
	}
	History []v1.History
}

func newInspectCommand() *cobra.Command {
	var where cli.StoreFlags
	var format, kind string
	var size bool
	cmd := &cobra.Command{
		Use: "inspect [flags] NAME...",
		Long: `Print details of containers and images, as JSON. NAME is the name, or the beginning
of the id, of a container or image.`,
		Example: `  subuidless inspect --format '{{.Config.User}}' postgres`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := openStore(where)
			if err != nil {
				return err
			}
			all := []any{}
			var errs []error
			for _, arg := range args {
				object, err := inspect(s, arg, kind, size)
				if err == nil {
					all = append(all, object)
				}
				errs = append(errs, err)
			}
			if format == "" || format == "json" {
				return errors.Join(append(errs, writeJSON(cmd.OutOrStdout(), all))...)
			}
			for _, object := range all {
				errs = append(errs, formatObject(cmd.OutOrStdout(), object, format))
			}
			return errors.Join(errs...)
		},
		ValidArgsFunction: imageNames,
	}
	cmd.Flags().StringVarP(&format, "format", "f", "", "print json, or use a Go `template`: {{.FIELD.FIELD}}, {{json .FIELD}}")
	cmd.Flags().StringVarP(&kind, "type", "t", "", "look only for this `type`: image or container")
	cmd.Flags().BoolVarP(&size, "size", "s", false, "of containers, also show how large the files are that each has changed (SizeRw), and\nall of its files (SizeRootFs)")
	where.Add(cmd)
	return cmd
}

// inspect returns the container or image that text names. Kind is image, container or empty. Size says
// whether the sizes of a container are wanted.
func inspect(s *store.Store, text, kind string, size bool) (any, error) {
	if kind != "" && kind != "image" && kind != "container" {
		return nil, fmt.Errorf("type %q: must be image or container", kind)
	}
	if kind != "image" {
		c, err := s.FindContainer(text)
		if err == nil {
			return inspectContainer(s, c, size)
		}
		if kind == "container" || !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	known, err := registries()
	if err != nil {
		return nil, err
	}
	i, err := s.Find(text, known.Aliases)
	if err != nil {
		return nil, err
	}
	return inspectImage(s, i)
}

func inspectContainer(s *store.Store, c *store.Container, size bool) (*container.Inspected, error) {
	i := container.Inspect(c)
	if !size {
		return i, nil
	}
	sizes := container.Sizes{Store: s}
	changed, all, err := sizes.Of(c)
	i.SizeRw, i.SizeRootFs = &changed, &all
	return i, err
}

func inspectImage(s *store.Store, i *store.Image) (*inspected, error) {
	images, _, err := s.Images()
	if err != nil {
		return nil, err
	}
	v := &inspected{
		Id: i.ID().String(), Digest: i.Digest.String(), Created: i.Config.Created.Time, Author: i.Config.Author,
		Architecture: i.Config.Architecture, Variant: i.Config.Variant, Os: i.Config.OS, Size: i.Size(),
		Config: i.Config.Config, History: i.Config.History, RepoTags: []string{}, RepoDigests: []string{},
	}
	v.VirtualSize, v.Labels = v.Size, v.Config.Labels
	if n := len(v.History); n > 0 {
		v.Comment = v.History[n-1].Comment
	}
	v.RootFS.Type, v.RootFS.Layers = i.Config.RootFS.Type, i.Config.RootFS.DiffIDs
	digests := map[string]bool{}
	for _, o := range images {
		if o.Entry.Digest != i.Entry.Digest {
			continue
		}
		if o.Name != "" && !strings.Contains(o.Name, "@") {
			v.RepoTags = append(v.RepoTags, o.Name)
		}
		if digest := o.Repository + "@" + o.Digest.String(); o.Repository != "" && !digests[digest] {
			digests[digest] = true
			v.RepoDigests = append(v.RepoDigests, digest)
		}
	}
	return v, nil
}
