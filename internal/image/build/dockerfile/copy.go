package dockerfile

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	chmod "github.com/tonistiigi/dchapes-mode"
)

// copy evaluates COPY.
func (e *evaluator) copy(step *Step, c *instructions.CopyCommand) error {
	out := &Copy{Dest: e.dest(c.DestPath), Chown: c.Chown, Chmod: c.Chmod, Exclude: c.ExcludePatterns, Parents: c.Parents}
	var from *Ref
	if c.From != "" {
		if strings.Contains(c.From, "$") {
			return fmt.Errorf("--from=%s: variables are not expanded here; name a stage that begins with FROM ${...}", c.From)
		}
		ref, err := e.stage.ref(c.From)
		if err != nil {
			return fmt.Errorf("--%w", err)
		}
		from = &ref
	}
	for _, p := range c.SourcePaths {
		if kind := remote(p); kind != "" {
			return fmt.Errorf("COPY %s: %s is for ADD only", p, kind)
		}
		if from == nil {
			if err := e.lintIgnored(c, "Copy", p); err != nil {
				return err
			}
		}
		out.Sources = append(out.Sources, Source{Path: p, From: from})
	}
	return e.finishCopy(step, "COPY", out, &c.SourcesAndDest, c.Link)
}

// addFiles evaluates ADD.
func (e *evaluator) addFiles(step *Step, c *instructions.AddCommand) error {
	out := &Copy{Dest: e.dest(c.DestPath), Chown: c.Chown, Chmod: c.Chmod, Exclude: c.ExcludePatterns}
	isGit := func(p string) bool { return remote(p) == aGitRepository }
	if c.KeepGitDir != nil && !slices.ContainsFunc(c.SourcePaths, isGit) {
		return errors.New("--keep-git-dir: ADD has no source that is a git repository")
	}
	if c.Checksum != "" {
		if len(c.SourcePaths) != 1 || remote(c.SourcePaths[0]) == "" {
			return errors.New("--checksum: ADD must have one source, which is a URL or a git repository")
		}
		if isGit(c.SourcePaths[0]) {
			if strings.Trim(c.Checksum, "0123456789abcdefABCDEF") != "" {
				return fmt.Errorf("--checksum=%s: must be a commit, or the beginning of one", c.Checksum)
			}
		} else if algorithm, _, ok := strings.Cut(c.Checksum, ":"); !ok || algorithm != "sha256" && algorithm != "sha384" && algorithm != "sha512" {
			return fmt.Errorf("--checksum=%s: must be sha256:, sha384: or sha512: and the sum", c.Checksum)
		}
	}
	for _, p := range c.SourcePaths {
		switch remote(p) {
		case "":
			if err := e.lintIgnored(c, "Add", p); err != nil {
				return err
			}
			out.Sources = append(out.Sources, Source{Path: p, Unpack: c.Unpack == nil || *c.Unpack})
		case aURL:
			out.Sources = append(out.Sources, Source{URL: p, Checksum: c.Checksum, Unpack: c.Unpack != nil && *c.Unpack})
		default:
			out.Sources = append(out.Sources, Source{Git: p, Checksum: c.Checksum, KeepGitDir: c.KeepGitDir != nil && *c.KeepGitDir})
		}
	}
	return e.finishCopy(step, "ADD", out, &c.SourcesAndDest, c.Link)
}

const (
	aURL           = "a URL"
	aGitRepository = "a git repository"
)

// remote returns what a source is if it is not a path: aURL or aGitRepository.
func remote(source string) string {
	if strings.HasPrefix(source, "git@") || strings.HasPrefix(source, "git://") || strings.HasPrefix(source, "ssh://") {
		return aGitRepository
	}
	if !strings.HasPrefix(source, "http://") && !strings.HasPrefix(source, "https://") {
		return ""
	}
	if u, err := url.Parse(source); err == nil && (strings.HasSuffix(u.Path, ".git") || strings.HasPrefix(u.Fragment, "ref=")) {
		return aGitRepository
	}
	return aURL
}

// dest returns the absolute destination of COPY and ADD. A slash at the end stays.
func (e *evaluator) dest(text string) string {
	out := path.Clean(text)
	if !path.IsAbs(out) {
		out = path.Join(e.workdir(), out)
	}
	isDir := text == "" || text == "." || strings.HasSuffix(text, "/") || strings.HasSuffix(text, "/.")
	if isDir && out != "/" {
		out += "/"
	}
	return out
}

// finishCopy checks what COPY and ADD have in common, and adds here-documents.
func (e *evaluator) finishCopy(step *Step, name string, out *Copy, all *instructions.SourcesAndDest, link bool) error {
	for _, c := range all.SourceContents {
		out.Sources = append(out.Sources, Source{Inline: &Inline{Name: c.Path, Content: c.Data}})
	}
	if len(out.Sources) == 0 {
		return fmt.Errorf("%s has no source", name)
	}
	if out.Chmod != "" {
		if n, err := strconv.ParseUint(out.Chmod, 8, 32); err == nil && n > 0o7777 {
			return fmt.Errorf("--chmod=%s: must be between 0 and 7777", out.Chmod)
		} else if err != nil {
			if _, err := chmod.Parse(out.Chmod); err != nil {
				return fmt.Errorf("--chmod=%s: neither an octal mode nor one of chmod(1)", out.Chmod)
			}
		}
	}
	if link && out.Chown != "" {
		for id := range strings.SplitSeq(out.Chown, ":") {
			if _, err := strconv.ParseUint(id, 10, 32); err != nil {
				return fmt.Errorf("--chown=%s: with --link, owners must be numbers", out.Chown)
			}
		}
	}
	out.Link = link && out.Chmod == "" // as in BuildKit
	step.Copy = out
	text := []string{name}
	if out.Parents {
		text = append(text, "--parents")
	}
	if out.Chown != "" {
		text = append(text, "--chown="+out.Chown)
	}
	if out.Chmod != "" {
		text = append(text, "--chmod="+out.Chmod)
	}
	text = append(text, all.SourcePaths...)
	for _, c := range all.SourceContents {
		text = append(text, "<<"+c.Path)
	}
	step.History = strings.Join(append(text, all.DestPath), " ")
	return nil
}
