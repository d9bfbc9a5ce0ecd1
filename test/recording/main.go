// Command recording makes the recording of a terminal that README.md shows, an animated SVG: it runs
// the transcript of README.md as a user without subordinate ids, and if that prints what README.md
// says, draws it. The same README.md gives the same bytes.
//
//	go run ./test/recording -o docs/recording.svg PROGRAM
//
// PROGRAM is a subuidless. It needs real root, to become that user.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/rootless-containers/subuidless/test/pages"
)

// user is the uid and gid of the user in the transcript.
const user = 12345

func main() {
	out := flag.String("o", "docs/recording.svg", "`file` to write")
	flag.Parse()
	if err := record(*out, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "recording:", err)
		os.Exit(1)
	}
}

func record(out, program string) error {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		return err
	}
	transcript, err := find(string(readme))
	if err != nil {
		return err
	}
	if err := check(transcript, program); err != nil {
		return err
	}
	return os.WriteFile(out, []byte(draw(transcript.Lines)), 0o644)
}

// find returns the first transcript of a page.
func find(page string) (pages.Block, error) {
	blocks, err := pages.Parse(page)
	if err != nil {
		return pages.Block{}, err
	}
	i := slices.IndexFunc(blocks, pages.Block.IsTranscript)
	if i < 0 {
		return pages.Block{}, errors.New("README.md has no transcript")
	}
	return blocks[i], nil
}

// check runs the commands of a transcript, and compares what they print, except for dates.
func check(transcript pages.Block, program string) (err error) {
	dir, err := os.MkdirTemp("", "recording-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// The user need not be able to search the directory of the program.
	binary, err := os.ReadFile(program)
	if err != nil {
		return fmt.Errorf("the program to record: %w", err)
	}
	err = errors.Join(os.WriteFile(filepath.Join(dir, "subuidless"), binary, 0o755), os.Chmod(dir, 0o755))
	home := filepath.Join(dir, "home")
	if err = errors.Join(err, os.Mkdir(home, 0o755), os.Chown(home, user, user)); err != nil {
		return err
	}
	commands, want := transcript.Transcript()
	cmd := exec.Command("sh", "-c", "exec 2>&1; cd; "+strings.Join(commands, "\n"))
	cmd.Dir = home
	cmd.Env = []string{"HOME=" + home, "PATH=" + dir + ":/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	got, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) { // the last command may fail
		return err
	}
	if got := pages.Undated(string(got)); got != want {
		return fmt.Errorf("README.md shows\n%s\nbut the commands print\n%s", want, got)
	}
	return nil
}
