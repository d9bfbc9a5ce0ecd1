package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// programs is a job that runs programs, each of which must succeed.
type programs struct {
	reporter
	rand  *rand.Rand
	round int
}

func newPrograms(j job) *programs { return &programs{reporter: newReporter(j.name), rand: j.rand()} }

// run runs a program in a directory, and returns its output. Each must succeed.
func (p *programs) run(dir string, argv ...string) string {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = dir
	return p.runCommand(cmd)
}

// runCommand runs a command, and returns its output. It must succeed.
func (p *programs) runCommand(cmd *exec.Cmd) string {
	out, err := cmd.CombinedOutput()
	p.call(nil, err, "%s: %s", strings.Join(cmd.Args, " "), out)
	return string(out)
}

// tarMain packs and unpacks trees with owners of all kinds.
func tarMain(j job) error {
	p := newPrograms(j)
	err := p.untilStopped(func() {
		p.round++
		want, err := p.plant("tree")
		if !p.call(nil, err, "making a tree") {
			return
		}
		p.run(".", "tar", "--numeric-owner", "-cpf", "tree.tar", "tree")
		p.call(nil, os.Mkdir("copy", 0o755), "mkdir")
		p.run("copy", "tar", "--numeric-owner", "-xpf", "../tree.tar")
		p.run(".", "cp", "-a", "tree", "copied")
		for _, dir := range []string{"tree", "copy/tree", "copied"} {
			p.compare(dir, want)
		}
		p.run(".", "rm", "-rf", "tree", "copy", "copied", "tree.tar")
	})
	return errors.Join(err, p.finish())
}

// treeSize is how many inodes a tree has.
const treeSize = 60

// plant makes a tree, and returns the status of each inode by its path in the tree.
func (p *programs) plant(root string) (map[string]status, error) {
	err := os.Mkdir(root, 0o755)
	dirs := []string{root}
	for n := 0; n < treeSize && err == nil; n++ {
		name := filepath.Join(dirs[p.rand.IntN(len(dirs))], fmt.Sprint(n))
		switch p.rand.IntN(5) {
		case 0:
			err = os.Mkdir(name, 0o755)
			dirs = append(dirs, name)
		case 1:
			err = os.Symlink("target", name)
		case 2:
			err = unix.Mkfifo(name, 0o640)
		case 3:
			err = unix.Mknod(name, unix.S_IFCHR|0o600, int(unix.Mkdev(4, uint32(n))))
		default:
			err = os.WriteFile(name, []byte(name), 0o644)
		}
		if err == nil {
			err = os.Lchown(name, p.rand.IntN(70000), p.rand.IntN(70000))
		}
	}
	if err != nil {
		return nil, err
	}
	return readTree(root)
}

// readTree returns the status of each inode of a tree by its path in it.
func readTree(root string) (map[string]status, error) {
	all := map[string]status{}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		s, err := lstat(path, len(all)%ways)
		if s.mode&unix.S_IFMT == unix.S_IFDIR {
			s.links, s.size = 0, 0 // they depend on the file system
		}
		name, e := filepath.Rel(root, path)
		all[name] = s
		return errors.Join(err, e)
	})
	return all, err
}

// compare compares a tree with what it must be.
func (p *programs) compare(root string, want map[string]status) {
	got, err := readTree(root)
	if !p.call(nil, err, "reading %s", root) {
		return
	}
	if len(got) != len(want) {
		p.wrong("%s has %d inodes, want %d", root, len(got), len(want))
	}
	for name, s := range want {
		if got[name] != s {
			p.done.Lost++
			p.say("%s/%s: %+v, want %+v", root, name, got[name], s)
		}
	}
}

// gitMain commits, clones and verifies.
func gitMain(j job) error {
	p := newPrograms(j)
	git := func(dir string, args ...string) string {
		return p.run(dir, append([]string{"git", "-c", "user.name=soak", "-c", "user.email=soak@localhost", "-c", "safe.directory=*"}, args...)...)
	}
	err := p.untilStopped(func() {
		p.round++
		git(".", "init", "-q", "repository")
		for n := range 3 {
			name := fmt.Sprintf("file%d", n)
			p.call(nil, os.WriteFile(filepath.Join("repository", name), fmt.Append(nil, p.rand.Uint64()), 0o644), "writing %s", name)
			git("repository", "add", ".")
			git("repository", "commit", "-qm", name)
		}
		git(".", "clone", "-q", "repository", "clone")
		git("clone", "fsck", "--strict")
		if changes := git("clone", "status", "--porcelain"); changes != "" {
			p.wrong("git status: %s", changes)
		}
		if commits := git("clone", "rev-list", "--count", "HEAD"); commits != "3\n" {
			p.wrong("the clone has %q commits, want 3", commits)
		}
		p.run(".", "rm", "-rf", "repository", "clone")
	})
	return errors.Join(err, p.finish())
}

// sqliteMain changes a database, which must stay consistent.
func sqliteMain(j job) error {
	p := newPrograms(j)
	sql := func(text string) string { return p.run(".", "sqlite3", "-bail", "database", text) }
	sql("PRAGMA journal_mode=WAL; CREATE TABLE t(n INTEGER, text TEXT);")
	err := p.untilStopped(func() {
		p.round++
		sql(fmt.Sprintf("BEGIN; INSERT INTO t VALUES(%d, '%x'); COMMIT;", p.round, p.rand.Uint64()))
		if got, want := sql("SELECT count(*), max(n) FROM t;"), fmt.Sprintf("%d|%d\n", p.round, p.round); got != want {
			p.wrong("the table has %q, want %q", got, want)
		}
		if got := sql("PRAGMA integrity_check;"); got != "ok\n" {
			p.wrong("integrity_check: %s", got)
		}
	})
	for _, file := range []string{"database", "database-wal", "database-shm"} {
		if e := os.Remove(file); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return errors.Join(err, p.finish())
}
