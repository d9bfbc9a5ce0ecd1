package build

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/layer"
)

// gitSource is a context in a git repository: URL[#[REF][:SUBDIR]].
type gitSource struct {
	url    string
	ref    string // branch, tag or commit; empty: the default branch
	subdir string // relative path of the context; empty: the root of the repository
}

// scpForm is a repository in the form of scp(1).
var scpForm = regexp.MustCompile(`^[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:[^/]`)

// parseGit parses a context as docker build does. Ok is false if text names no repository.
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
		return g, false, fmt.Errorf("context %s: %q is no branch, tag or commit", text, ref)
	}
	subdir = strings.TrimLeft(filepath.Clean("/"+subdir), "/")
	return gitSource{url, ref, subdir}, true, nil
}

// keepGitDir is the build argument that keeps the directory .git in the context, as in BuildKit.
const keepGitDir = "BUILDKIT_CONTEXT_KEEP_GIT_DIR"

// fetchGit fetches a context by the user's git, and returns its directory.
func (b *builder) fetchGit(ctx context.Context, g gitSource) (_ string, err error) {
	shown := b.Progress.Start("[internal] load git source " + g.url)
	defer func() { shown.Done(err) }()
	program, err := exec.LookPath("git")
	if err != nil {
		return "", fmt.Errorf("context %s: git is needed to fetch it, and not installed: %w", g.url, err)
	}
	dir := filepath.Join(b.tmp, "git")
	// Modes do not depend on the umask of the user, as in BuildKit. Nothing else runs now.
	defer unix.Umask(unix.Umask(0o022))
	git := func(args ...string) error {
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Stdout, cmd.Stderr = shown, shown
		if err := cmd.Run(); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("context %s: git %s: %w\n  | %s", g.url, strings.Join(args, " "), err, strings.Join(shown.Last(), "\n  | "))
		}
		return nil
	}
	in := func(args ...string) error { return git(append([]string{"-C", dir}, args...)...) }
	if err := git("init", "-q", "--", dir); err != nil {
		return "", err
	}
	ref := cmp.Or(g.ref, "HEAD")
	if err := in("fetch", "-q", "--depth=1", "--no-tags", "--", g.url, ref); err == nil {
		ref = "FETCH_HEAD"
	} else if ctx.Err() != nil {
		return "", err
	} else if err := in("fetch", "-q", "--tags", "--", g.url, "+refs/heads/*:refs/remotes/origin/*"); err != nil {
		// Not each server gives any commit, or the beginning of one.
		return "", err
	}
	for _, args := range [][]string{{"checkout", "-q", "--detach", ref}, {"submodule", "-q", "update", "--init", "--recursive", "--depth=1"}} {
		if err := in(args...); err != nil {
			return "", err
		}
	}
	if keep := b.Args[keepGitDir]; keep != "1" && keep != "true" {
		if err := layer.RemoveAll(filepath.Join(dir, ".git")); err != nil {
			return "", err
		}
	}
	return subdirOf(dir, g)
}

// subdirOf returns the directory of the context below dir. A link must not lead out of that.
func subdirOf(dir string, g gitSource) (string, error) {
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	sub, err := filepath.EvalSymlinks(filepath.Join(root, g.subdir))
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("context %s: the repository has no directory %s", g.url, g.subdir)
	}
	if err != nil {
		return "", err
	}
	if sub != root && !strings.HasPrefix(sub, root+"/") {
		return "", fmt.Errorf("context %s: %s leads out of the repository", g.url, g.subdir)
	}
	if st, err := os.Stat(sub); err != nil || !st.IsDir() {
		return "", errors.Join(err, fmt.Errorf("context %s: %s is not a directory", g.url, g.subdir))
	}
	return sub, nil
}
