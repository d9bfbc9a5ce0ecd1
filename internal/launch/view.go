package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/userns"
)

// View says what a command of Exec sees of the host's files. The zero value is all of them.
type View struct {
	// Etc is the path of a directory. The command sees its files in place of those with the same
	// names in /etc, if these exist. Empty: none.
	Etc string
	// Root is the absolute path of a directory that becomes the root directory, without any mount
	// except Binds. Empty: the host's.
	Root string
	// Binds are mounted in this order. A mount point that does not exist in Root is created there.
	// One that does not exist on the host, without Root, is an error.
	Binds []Bind
	// Dir is the working directory, an absolute path in the view. If it does not exist there, the
	// command starts in /, with a warning. Empty: that of the caller, and / with Root.
	Dir string
}

// Bind is a file or directory of the host that a command sees elsewhere, with the mounts below it.
type Bind struct {
	Source string // absolute path on the host
	Target string // absolute path in the view
}

// String returns v as parseView parses it.
func (v *View) String() string {
	if v == nil {
		return ""
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain data
	}
	return string(b)
}

// enterView is enter for the view in text.
func enterView(text string) error {
	if text == "" {
		return nil
	}
	v := new(View)
	if err := json.Unmarshal([]byte(text), v); err != nil {
		return fmt.Errorf("%q does not describe a view: %w", text, err)
	}
	return v.enter()
}

// enter gives the calling process, or its thread, which has a mount namespace of its own if the view has
// mounts, the view. V may be nil.
func (v *View) enter() error {
	if v == nil {
		return nil
	}
	if v.Etc != "" {
		if err := replaceEtc(v.Etc); err != nil {
			return err
		}
	}
	if err := v.mount(); err != nil {
		return err
	}
	if v.Dir == "" {
		return nil
	}
	dir := v.Dir
	err := os.Chdir(dir)
	if errors.Is(err, os.ErrNotExist) {
		fmt.Fprintf(os.Stderr, "subuidless: the working directory %s does not exist there: starting in /\n", dir)
		dir = "/"
		err = os.Chdir(dir)
	}
	if err != nil {
		return err
	}
	return os.Setenv("PWD", dir) // or shells would believe the caller's, if that is there, too
}

// hasMounts reports whether the view needs a mount namespace of its own.
func (v *View) hasMounts() bool {
	return v != nil && (v.Etc != "" || v.Root != "" || len(v.Binds) > 0)
}

// mount mounts v.Binds, and changes the root directory to v.Root.
func (v *View) mount() error {
	if v.Root == "" && len(v.Binds) == 0 {
		return nil
	}
	if err := mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return userns.Explain(fmt.Errorf("making the mounts private: %w", err))
	}
	var binds []*bind
	for _, b := range v.Binds {
		opened, err := openBind(b.Source, b.Target, false)
		if err != nil {
			return fmt.Errorf("mounting %s on %s: %w", b.Source, b.Target, err)
		}
		binds = append(binds, opened)
		if _, err := os.Stat(b.Target); v.Root == "" && err != nil {
			return fmt.Errorf("mounting %s on %s: %w (without a root file system, the mount point must exist)", b.Source, b.Target, errnoOf(err))
		}
	}
	if v.Root != "" {
		if err := enterRoot(v.Root); err != nil {
			return fmt.Errorf("rootfs %s: %w", v.Root, err)
		}
	}
	return attachAll(binds)
}

// executeIn is execute in the view v, as user (nil: the caller), for a caller that has all ids and
// capabilities already.
func executeIn(v *View, user *account, args, env []string) (status int, err error) {
	runtime.LockOSThread() // the namespace is that of the thread
	if v.hasMounts() {
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return StatusFailed, fmt.Errorf("a mount namespace of its own: unshare: %w", err)
		}
	}
	if err := v.enter(); err != nil {
		return StatusFailed, err
	}
	if err := applyUser(user.String(), true); err != nil {
		return StatusFailed, err
	}
	return execute(args, env)
}
