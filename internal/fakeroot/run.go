package fakeroot

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/rootless-containers/subuidless/internal/launch"
	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/supervisor"
)

// Options are the options of Run.
type Options struct {
	Args          []string // the command and its arguments; none: $SHELL or /bin/sh
	Load          string   // state file to read; empty: none
	Save          string   // state file to write; empty: none
	UnknownIsReal bool     // files without a record belong to the user, not to root
	Summary       bool     // write a summary of all notifications: see launch.ExecOptions
	Supervisor    supervisor.Config
}

// Run runs a command with records that end with it, and returns its exit status. If err is not
// nil, the status is one of the Status constants of package launch.
//
// If the caller is supervised already, it gets its records from there, and Run replaces the
// calling process with the command.
func Run(o Options) (status int, err error) {
	if len(o.Args) == 0 {
		shell := os.Getenv("SHELL")
		if shell == "" {
			shell = "/bin/sh"
		}
		o.Args = []string{shell}
	}
	exec := launch.ExecOptions{Args: o.Args, Env: environment(o.UnknownIsReal), Summary: o.Summary, Supervisor: o.Supervisor}
	if supervisor.Active() {
		if o.Load != "" || o.Save != "" {
			return launch.StatusFailed, errors.New("fakeroot: -i and -s have no effect here: the outer subuidless has the owners; give them to the outer fakeroot")
		}
		return launch.Exec(exec)
	}
	records, err := prepare(&o)
	if err != nil {
		return launch.StatusFailed, fmt.Errorf("fakeroot: %w", err)
	}
	defer func() {
		if e := records.Close(); e != nil && err == nil {
			status, err = launch.StatusFailed, e
		}
	}()
	exec.Supervisor.Records = records.File()
	// Whoever may run programs as another user in a fakeroot has always had access to all files.
	exec.Supervisor.NoPermissions = true
	status, err = launch.Exec(exec)
	if err == nil && o.Save != "" {
		if err := save(o.Save, records.Saved()); err != nil {
			return launch.StatusFailed, fmt.Errorf("fakeroot: cannot save the owners: %w", err)
		}
	}
	return status, err
}

// prepare creates the records, and loads those that o names.
func prepare(o *Options) (*owner.Temporary, error) {
	how := owner.TemporaryOptions{Keep: o.Save != ""}
	if o.UnknownIsReal {
		how.Real = &owner.ID{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
	}
	records, err := owner.CreateTemporary(how)
	if err != nil {
		return nil, err
	}
	if o.Load == "" {
		return records, nil
	}
	f, err := os.Open(o.Load)
	if errors.Is(err, os.ErrNotExist) {
		// As in fakeroot(1): a script may always pass both -i and -s.
		fmt.Fprintf(os.Stderr, "fakeroot: database file `%s' does not exist.\n", o.Load)
		return records, nil
	}
	if err == nil {
		defer f.Close()
		err = load(f, records)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot load the owners from %s: %w", o.Load, err), records.Close())
	}
	return records, nil
}

// environment returns the environment of the command, by which makepkg, abuild and others notice
// that they run in a fakeroot. FAKEROOTKEY is the key of fakeroot's daemon, which nobody asks for
// here, as no LD_PRELOAD is needed.
func environment(unknownIsReal bool) []string {
	mode := "unknown-is-root"
	if unknownIsReal {
		mode = "unknown-is-real"
	}
	return append(os.Environ(), "FAKEROOTKEY="+strconv.Itoa(os.Getpid()), "FAKED_MODE="+mode)
}
