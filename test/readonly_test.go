package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// imageTree makes the directory tree, with files of all types that belong to 1:2.
const imageTree = `mkdir -p tree/d; cd tree; echo text >f; ln -s f l; mkfifo p; mknod s c 1 3; mknod z c 1 5; mknod b b 8 1
	chown -h 1:2 f d l p s z b`

// mountImages has the user make a tree in a container, and images of it outside, and mounts these in
// the work directory. It leaves out read-only file systems that this machine lacks.
func mountImages(work string, user *syscall.Credential) {
	images := filepath.Join(work, "images")
	asUser := func(argv ...string) error {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Dir, cmd.Env = images, testEnv(work)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: user}
		return run(cmd)
	}
	err := os.Mkdir(images, 0o755)
	if err == nil {
		err = os.Chown(images, int(user.Uid), int(user.Gid))
	}
	if err == nil {
		err = asUser(filepath.Join(work, "bin", "subuidless"), "exec", "--", "sh", "-euc", imageTree)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "no tree for images:", err)
		return
	}
	for kind, command := range map[string]string{
		"squashfs": "mksquashfs tree squashfs.img -quiet -no-progress",
		"erofs":    "mkfs.erofs erofs.img tree",
	} {
		mount := filepath.Join(work, kind+".mount")
		err := asUser(strings.Fields(command)...)
		if err == nil {
			err = os.Mkdir(mount, 0o755)
		}
		if err == nil {
			err = run(exec.Command("mount", "-t", kind, "-o", "loop,ro", filepath.Join(images, kind+".img"), mount))
		}
		if err == nil {
			err = os.Symlink(mount, filepath.Join(work, kind)) // now it exists
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "no %s: %v\n", kind, err)
		}
	}
}

// run runs a command, whose output is part of the error.
func run(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", cmd.Args[0], err, out)
	}
	return nil
}
