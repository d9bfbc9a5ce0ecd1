package build

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rootless-containers/subuidless/internal/image/build/dockerfile"
	"github.com/rootless-containers/subuidless/internal/image/layer"
)

// gitSource is a directory in a git repository: URL[#[REF][:SUBDIR]].
type gitSource struct {
	url    string
	ref    string // branch, tag or commit; empty: the default branch
	subdir string // relative path; empty: the root of the repository
}

// scpForm is a repository in the form of scp(1).
var scpForm = regexp.MustCompile(`^[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:[^/]`)

// parseGit parses the name of a context or of a source of ADD as docker build does. Ok is false if text names no repository.
func parseGit(text string) (g gitSource, ok bool, err error) {
	url, fragment, _ := strings.Cut(text, "#")
	switch {
	case strings.HasPrefix(url, "git://"), strings.HasPrefix(url, "ssh://"), strings.HasPrefix(url, "git@"), scpForm.MatchString(url):
	case strings.HasPrefix(url, "http://"), strings.HasPrefix(url, "https://"), strings.HasPrefix(url, "file://"):
		if !strings.HasSuffix(url, ".git") {
			return g, false, nil
		}
	case strings.HasPrefix(url, "github.com/"):
		url = "https://" + url
	default:
		return g, false, nil
	}
	ref, subdir, _ := strings.Cut(fragment, ":")
	if strings.HasPrefix(ref, "-") {
		return g, false, fmt.Errorf("%s: %q is not a branch, tag or commit", text, ref)
	}
	subdir = strings.TrimLeft(filepath.Clean("/"+subdir), "/")
	return gitSource{url, ref, subdir}, true, nil
}

// keepGitDir is the build argument that keeps the directory .git in the context, as in BuildKit.
const keepGitDir = "BUILDKIT_CONTEXT_KEEP_GIT_DIR"

// defaultHead is the reference that the default branch gets.
const defaultHead = "refs/subuidless/head"

// fetchGit fetches a repository by the user's git to the directory dir, which is empty or new, and
// returns the directory of g.subdir. Keep keeps the directory .git. Commit is the beginning of the
// commit that the reference must have; empty: any. Errors begin with what, which the repository is for.
func (b *builder) fetchGit(ctx context.Context, what, dir string, g gitSource, commit string, keep bool) (_ string, err error) {
	shown := b.Progress.Start("[internal] load git source " + g.url)
	defer func() { shown.Done(err) }()
	program, err := exec.LookPath("git")
	if err != nil {
		return "", fmt.Errorf("%s: git is needed to fetch it, and not installed: %w", what, err)
	}
	git := func(out io.Writer, args ...string) error {
		// Modes do not depend on the umask of the user, as in BuildKit.
		cmd := exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", `umask 022 && exec "$0" "$@"`, program}, args...)...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, shown
		if err := cmd.Run(); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("%s: git %s: %w\n  | %s", what, strings.Join(args, " "), err, strings.Join(shown.Last(), "\n  | "))
		}
		return nil
	}
	in := func(args ...string) error { return git(shown, args...) }
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o755)); err != nil {
		return "", err
	}
	if err := in("init", "-q"); err != nil {
		return "", err
	}
	ref := cmp.Or(g.ref, "HEAD")
	if err := in("fetch", "-q", "--depth=1", "--no-tags", "--", g.url, ref); err == nil {
		ref = "FETCH_HEAD"
	} else if ctx.Err() != nil {
		return "", err
	} else if err := in("fetch", "-q", "--tags", "--update-head-ok", "--", g.url, "+refs/heads/*:refs/heads/*", "+HEAD:"+defaultHead); err != nil {
		// Not each server gives any commit, or the beginning of one, or knows --depth.
		return "", err
	} else if g.ref == "" {
		ref = defaultHead
	}
	if err := in("checkout", "-q", "--detach", ref); err != nil {
		return "", err
	}
	if commit != "" {
		var head strings.Builder
		if err := git(&head, "rev-parse", "HEAD"); err != nil {
			return "", err
		}
		if got := strings.TrimSpace(head.String()); !strings.HasPrefix(got, strings.ToLower(commit)) {
			return "", fmt.Errorf("%s: its commit is %s, not %s", what, got, commit)
		}
	}
	if err := in("submodule", "-q", "update", "--init", "--recursive", "--depth=1"); err != nil {
		return "", err
	}
	if !keep {
		if err := layer.RemoveAll(filepath.Join(dir, ".git")); err != nil {
			return "", err
		}
	}
	sub, err := subdirOf(dir, g)
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	return sub, nil
}

// addGit fetches the repository of an ADD. The caller removes the directory dir, in which it is.
func (b *builder) addGit(ctx context.Context, s *dockerfile.Source) (sub, dir string, err error) {
	g, ok, err := parseGit(s.Git)
	if err == nil && !ok {
		err = errors.New("not a git repository that can be fetched; give URL.git#REF:DIR")
	}
	if err != nil {
		return "", "", fmt.Errorf("ADD %s: %w", s.Git, err)
	}
	if dir, err = os.MkdirTemp(b.tmp, "git-"); err != nil {
		return "", "", err
	}
	sub, err = b.fetchGit(ctx, "ADD "+g.url, dir, g, s.Checksum, s.KeepGitDir)
	if err != nil {
		return "", "", errors.Join(err, layer.RemoveAll(dir))
	}
	return sub, dir, nil
}

// subdirOf returns the directory that g names below dir. A link must not lead out of that.
func subdirOf(dir string, g gitSource) (string, error) {
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	sub, err := filepath.EvalSymlinks(filepath.Join(root, g.subdir))
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("the repository has no directory %s", g.subdir)
	}
	if err != nil {
		return "", err
	}
	if sub != root && !strings.HasPrefix(sub, root+"/") {
		return "", fmt.Errorf("%s leads out of the repository", g.subdir)
	}
	if st, err := os.Stat(sub); err != nil || !st.IsDir() {
		return "", errors.Join(err, fmt.Errorf("%s is not a directory", g.subdir))
	}
	return sub, nil
}
