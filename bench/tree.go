package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const filesPerDirectory = 100

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// filePath distributes files over directories as in a source tree.
func filePath(i int) string {
	return fmt.Sprintf("d%03d/f%02d", i/filesPerDirectory, i%filesPerDirectory)
}

// fileContent returns a different content for each file, so that git stores them all.
func fileContent(i, size int) []byte {
	line := fmt.Sprintf("line of file %d\n", i)
	return []byte(strings.Repeat(line, size/len(line)+1)[:size])
}

func makeTree(dir string, files, size int) error {
	for i := range files {
		path := filepath.Join(dir, filePath(i))
		if i%filesPerDirectory == 0 {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
		}
		if err := os.WriteFile(path, fileContent(i, size), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// makeRepository commits a tree whose files are an hour old. git reads files again that
// are as recent as its index.
func makeRepository(dir string) error {
	const files = 10_000
	if err := makeTree(dir, files, 1024); err != nil {
		return err
	}
	anHourAgo := time.Now().Add(-time.Hour)
	for i := range files {
		if err := os.Chtimes(filepath.Join(dir, filePath(i)), anHourAgo, anHourAgo); err != nil {
			return err
		}
	}
	for _, argv := range [][]string{
		{"init", "-q"},
		{"add", "-A"},
		{"-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0", "commit", "-q", "-m", "all"},
	} {
		git := exec.Command("git", append([]string{"-C", dir}, argv...)...)
		git.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
		if out, err := git.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", git, err, out)
		}
	}
	return nil
}
