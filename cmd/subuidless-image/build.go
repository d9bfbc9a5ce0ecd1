package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/build"
	"github.com/rootless-containers/subuidless/internal/image/build/dockerfile"
	"github.com/rootless-containers/subuidless/internal/image/build/progress"
	"github.com/rootless-containers/subuidless/internal/image/container"
	"github.com/rootless-containers/subuidless/internal/image/reference"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/image/storedir"
	"github.com/rootless-containers/subuidless/internal/image/transfer"
)

// buildFlags are the flags of build.
type buildFlags struct {
	where    cli.StoreFlags
	how      cli.TransferFlags
	options  build.Options
	tags     []string
	args     []string
	labels   []string
	notes    []string
	targets  []string
	list     string
	secrets  []string
	agents   []string
	from     []string
	to       string
	contexts []string
	outputs  []string
	metadata string
	idFile   string
	progress string
	driver   string

	provenance, sbom string

	check bool

	ignored bool
	summary bool

	accelerate func() error
}

func newBuildCommand() *cobra.Command {
	f := new(buildFlags)
	cmd := &cobra.Command{
		Use: "build [flags] CONTEXT",
		Long: `Build an image from a Dockerfile or Containerfile, as docker build and podman build
do, without a daemon. COPY and ADD take files from the directory CONTEXT; - reads
the context as an archive, or a Dockerfile, from the standard input. CONTEXT may also
be a git repository, which git fetches: URL[#[REF][:SUBDIR]].

The language is that of BuildKit's Dockerfile reference. RUN commands run under
supervision, so every owner that they set is in the image. The digest of the
image is the last line of --quiet, and of the standard output otherwise.`,
		Example: `  subuidless build -t app .
  subuidless build -t app --target test --build-arg VERSION=1.2 .
  subuidless build --output type=oci,dest=app.tar .`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.options.Context = args[0]
			return f.run(cmd)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
	flags, o := cmd.Flags(), &f.options
	flags.StringVar(&f.list, "manifest", "", "also add the image to the index with this `name`, for its platforms")
	flags.StringArrayVarP(&f.tags, "tag", "t", nil, "`name` of the image; may be repeated")
	flags.StringVarP(&o.Dockerfile, "file", "f", "", "`path` of the Dockerfile (default Dockerfile or Containerfile in CONTEXT); - is\nthe standard input")
	flags.StringArrayVar(&f.contexts, "build-context", nil, "another context for FROM and from=, instead of a stage or image of this name:\n`NAME=DIR|URL|docker-image://IMAGE|oci-layout://DIR[:TAG]`; may be repeated")
	flags.StringVar(&o.Target, "target", "", "`stage` to build (default the last one)")
	flags.StringArrayVar(&f.args, "build-arg", nil, "set an ARG with `K=V`, or pass K through from the environment; may be repeated")
	flags.StringArrayVar(&f.labels, "label", nil, "label `K=V` of the image; may be repeated")
	flags.StringArrayVar(&f.notes, "annotation", nil, "annotation `K=V` of the image's manifest, or index:K=V of its index; may be\nrepeated")
	flags.StringArrayVar(&f.secrets, "secret", nil, "secret for RUN --mount=type=secret: `id=ID[,src=FILE|,env=VARIABLE]`; may be\nrepeated")
	flags.StringArrayVar(&f.agents, "ssh", nil, "agent for RUN --mount=type=ssh: `default|ID[=SOCKET|=KEY,...]` (default\n$SSH_AUTH_SOCK); may be repeated")
	flags.BoolVar(&o.NoCache, "no-cache", false, "do not use cached layers of earlier builds")
	flags.StringArrayVar(&f.from, "cache-from", nil, "also use the layers in `type=local,src=DIR|type=registry,ref=IMAGE`; may be\nrepeated")
	flags.StringVar(&f.to, "cache-to", "", "write the layers of this build to\n`type=local,dest=DIR|type=registry,ref=IMAGE|type=inline`; with mode=min, only\nthose of the image")
	flags.BoolVar(&o.Squash, "squash", false, "squash everything that the build adds into one layer")
	flags.StringVar(&o.Pull, "pull", transfer.PullMissing, "`when` to pull base images: missing, always or never")
	flags.Lookup("pull").NoOptDefVal = transfer.PullAlways
	flags.StringVar(&o.Network, "network", "", "`network` of RUN: host (default), or none for a loopback interface only")
	cli.AddHostFlag(flags, &o.Hosts)
	cli.AddLimitFlag(flags, &o.Limits)
	cli.AddShmFlag(flags, &o.ShmSize)
	flags.StringVar(&f.progress, "progress", progress.Auto, "`style` of the progress: auto, plain, tty or quiet")
	flags.StringArrayVarP(&f.outputs, "output", "o", nil, "also write the image: `type=oci|docker|local|tar,dest=PATH`; may be repeated")
	flags.BoolVar(&f.check, "check", false, "do not build: check the Dockerfile by the rules of BuildKit")
	flags.BoolVar(&o.Push, "push", false, "also push the image by the names of --tag")
	flags.StringVar(&f.idFile, "iidfile", "", "write the id of the image to a `file`")
	flags.StringVar(&f.metadata, "metadata-file", "", "write the digests and names of the image to a `file`, as JSON")
	flags.StringVar(&f.driver, "storage-driver", os.Getenv("STORAGE_DRIVER"), "how to make root file systems, a `driver`: overlay or copy (default\n$STORAGE_DRIVER, or overlay where it works)")
	flags.BoolVar(&f.ignored, "rm", true, "accepted as in docker: no containers are left behind")
	flags.BoolVar(&f.ignored, "force-rm", true, "accepted as in docker: no containers are left behind")
	flags.StringVar(&f.provenance, "provenance", "false", "only `false` is supported: there are no attestations")
	flags.Lookup("provenance").NoOptDefVal = "true"
	flags.StringVar(&f.sbom, "sbom", "false", "only `false` is supported: there are no attestations")
	flags.Lookup("sbom").NoOptDefVal = "true"
	flags.Uint("jobs", 0, "accepted as in podman: a `number` of stages; independent ones are always built in\nparallel")
	flags.BoolVar(&f.ignored, "layers", true, "accepted as in podman: layers are always cached")
	flags.BoolVar(&f.ignored, "load", true, "accepted as in docker: the image is always in the store")
	cli.CompleteFlag(cmd, "network", "host", "none")
	cli.CompleteFlag(cmd, "pull", transfer.PullMissing, transfer.PullAlways, transfer.PullNever)
	cli.CompleteFlag(cmd, "progress", progress.Auto, progress.Plain, progress.TTY, progress.Quiet)
	cli.CompleteFlag(cmd, "storage-driver", "overlay", "copy")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return cli.ExplainBuildFlag(err) })
	f.where.Add(cmd)
	f.how.Add(cmd, false)
	cli.AddSummaryFlag(cmd, &f.summary)
	f.accelerate = cli.AddAccelerateFlags(cmd, &o.Supervisor)
	flags.StringSliceVar(&f.targets, "platform", nil, "build the image for `OS/ARCH[/VARIANT],...` (default that of this machine); several\nplatforms get an index; may be repeated")
	flags.Lookup("quiet").Usage = "print only the id of the image"
	return cmd
}

// run builds the image.
func (f *buildFlags) run(cmd *cobra.Command) (err error) {
	if err := f.parse(); err != nil {
		return err
	}
	known, err := registries()
	if err != nil {
		return err
	}
	o := &f.options
	for _, tag := range f.tags {
		name, err := newName("--tag", tag, known.Aliases)
		if err != nil {
			return err
		}
		o.Names = append(o.Names, name)
	}
	if f.list != "" {
		if o.Manifest, err = newName("--manifest", f.list, known.Aliases); err != nil {
			return err
		}
	}
	if err := f.parseCaches(known.Aliases); err != nil {
		return err
	}
	s, err := openStore(f.where)
	if err != nil {
		return err
	}
	if f.how.Quiet {
		f.progress = progress.Quiet
	}
	if o.Progress, err = progress.New(f.progress, os.Stderr); err != nil {
		return err
	}
	f.how.Quiet = true // pulling is a step
	o.Main = mainProgram
	o.Transfer = transferOptions(f.how, known)
	var counts calls
	if f.summary {
		o.Counted = counts.add
	}
	ctx, stop := interruptible()
	defer stop()
	if f.check {
		err := f.lint(ctx, cmd.OutOrStdout(), s)
		o.Progress.Close()
		return explainInterrupt(ctx, err, fetchedIsKept)
	}
	image, err := build.Build(ctx, s, *o)
	o.Progress.Close()
	if f.summary {
		err = errors.Join(err, counts.print(os.Stderr))
	}
	if err != nil {
		return explainInterrupt(ctx, err, fetchedIsKept)
	}
	if f.idFile != "" {
		if err := storedir.WriteFile(f.idFile, []byte(idOf(image).String())); err != nil {
			return err
		}
	}
	if f.metadata != "" {
		if err := writeMetadata(f.metadata, image, o.Names); err != nil {
			return err
		}
	}
	if !slices.ContainsFunc(o.Outputs, build.Output.ToStdout) {
		fmt.Fprintln(cmd.OutOrStdout(), idOf(image))
	}
	return nil
}

// idOf returns what identifies an image that has been built: as in docker, the digest of the index if it
// has several platforms.
func idOf(image *store.Image) v1.Hash {
	if image.Platforms != nil {
		return image.Entry.Digest
	}
	return image.ID()
}

// newName returns the complete name that a flag gives an image.
func newName(flag, text string, aliases reference.Aliases) (string, error) {
	ref, err := reference.Parse(text, aliases)
	if err == nil && (ref.Transport != reference.Registry || strings.Contains(ref.Name, "@")) {
		err = fmt.Errorf("%s %s: must be a name, such as app:1.0", flag, text)
	}
	return ref.Name, err
}

// lint writes what the linter says about the Dockerfile, and returns an error if that is something.
func (f *buildFlags) lint(ctx context.Context, w io.Writer, s *store.Store) error {
	n := 0
	f.options.Lint = func(l dockerfile.Warning) {
		n++
		fmt.Fprintf(w, "WARNING: %s - %s\n%s\n%s:%d\n\n", l.Rule, l.URL, l.Message, l.File, l.Line)
	}
	if err := build.Check(ctx, s, f.options); err != nil {
		return err
	}
	if n > 0 {
		return fmt.Errorf("build --check: the Dockerfile has %d warnings", n)
	}
	fmt.Fprintln(w, "Check complete, no warnings found.")
	return nil
}

// parse sets the options that the flags say.
func (f *buildFlags) parse() (err error) {
	o := &f.options
	if o.Args, err = keyValues("--build-arg", f.args, true); err != nil {
		return err
	}
	if o.Labels, err = keyValues("--label", f.labels, false); err != nil {
		return err
	}
	for _, platform := range f.targets {
		if !slices.Contains(o.Platforms, platform) {
			o.Platforms = append(o.Platforms, platform)
		}
	}
	if o.Annotations, o.OfIndex, err = annotations(f.notes, len(o.Platforms) > 1); err != nil {
		return err
	}
	if o.Driver, err = container.ParseDriver(f.driver); err != nil {
		return err
	}
	switch o.Pull {
	case "true":
		o.Pull = transfer.PullAlways
	case "false":
		o.Pull = transfer.PullMissing
	case transfer.PullMissing, transfer.PullAlways, transfer.PullNever:
	default:
		return fmt.Errorf("--pull=%s: must be missing, always or never", o.Pull)
	}
	switch o.Network {
	case "", "default", "host", "none":
	default:
		return fmt.Errorf("--network=%s: must be host or none", o.Network)
	}
	for _, flag := range [][2]string{{"provenance", f.provenance}, {"sbom", f.sbom}} {
		if on, err := strconv.ParseBool(flag[1]); err != nil || on {
			return fmt.Errorf("--%s=%s: attestations are not supported; only false is accepted (scanners and signers of their own work with the image in a registry)", flag[0], flag[1])
		}
	}
	if err := f.parseSecrets(); err != nil {
		return err
	}
	if err := f.accelerate(); err != nil {
		return err
	}
	o.Contexts = build.Contexts{}
	for _, text := range f.contexts {
		if err := o.Contexts.Add(text); err != nil {
			return err
		}
	}
	if o.Push && len(f.tags) == 0 {
		return errors.New("--push needs --tag, the name to push to")
	}
	return f.parseOutputs()
}

// parseOutputs parses --output.
func (f *buildFlags) parseOutputs() error {
	o := &f.options
	for _, text := range f.outputs {
		output, err := build.ParseOutput(text)
		if err != nil {
			return err
		}
		if output.ToStdout() && slices.ContainsFunc(o.Outputs, build.Output.ToStdout) {
			return fmt.Errorf("--output %s: only one can be written to the standard output; give dest=FILE", text)
		}
		o.Outputs = append(o.Outputs, *output)
	}
	return nil
}

// writeMetadata writes the file of --metadata-file, with the keys of docker buildx build.
func writeMetadata(name string, image *store.Image, names []string) error {
	d := image.Top()
	metadata := map[string]any{
		"containerimage.digest":     d.Digest,
		"containerimage.descriptor": v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size},
	}
	if image.Platforms == nil {
		metadata["containerimage.config.digest"] = image.ID()
	}
	if len(names) > 0 {
		metadata["image.name"] = strings.Join(names, ",")
	}
	b, err := json.MarshalIndent(metadata, "", "  ")
	if err != nil {
		return err
	}
	return storedir.WriteFile(name, append(b, '\n'))
}

// annotations parses --annotation: as docker, manifest:K=V is K=V, and index:K=V is of the index, if the
// image has one.
func annotations(list []string, hasIndex bool) (manifest, index map[string]string, err error) {
	var ofManifest, ofIndex []string
	for _, text := range list {
		key, _, _ := strings.Cut(text, "=")
		switch level, _, found := strings.Cut(key, ":"); {
		case !found:
			ofManifest = append(ofManifest, text)
		case level == "manifest":
			ofManifest = append(ofManifest, strings.TrimPrefix(text, "manifest:"))
		case level == "index" && hasIndex:
			ofIndex = append(ofIndex, strings.TrimPrefix(text, "index:"))
		case level == "index":
			return nil, nil, fmt.Errorf("--annotation %s: an image for one platform has no index", text)
		default:
			return nil, nil, fmt.Errorf("--annotation %s: %s is not supported: only manifest and index are", text, level)
		}
	}
	if manifest, err = keyValues("--annotation", ofManifest, false); err == nil {
		index, err = keyValues("--annotation", ofIndex, false)
	}
	return manifest, index, err
}

// keyValues parses K=V. If pass is set, K alone is the variable of the environment, if there is one.
func keyValues(flag string, list []string, pass bool) (map[string]string, error) {
	all := map[string]string{}
	for _, kv := range list {
		k, v, given := strings.Cut(kv, "=")
		if k == "" {
			return nil, fmt.Errorf("%s %s: must be NAME=VALUE", flag, kv)
		}
		if !given && pass {
			if v, given = os.LookupEnv(k); !given {
				continue
			}
		}
		all[k] = v
	}
	return all, nil
}
