package ociruntime

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/identity"
)

// runtime executes one command.
type runtime struct {
	globals
	backend backend
	user    *identity.User // of the process that exec starts; nil: none
}

// statusFailed is the exit status if this package fails, as it is for crun and runc.
const statusFailed = 1

// Main executes the command line of an OCI runtime, without the program's name, and returns
// the exit status. It does not return if the runtime executes the command alone. Help prints
// the help text, and version is that of this program.
func Main(args []string, version string, help func() error) int {
	// PR_SET_PDEATHSIG of the runtime refers to this thread.
	goruntime.LockOSThread()
	r := new(runtime)
	status, err := r.main(args, version, help)
	if err != nil {
		r.report("error", err.Error())
	}
	return status
}

func (r *runtime) main(args []string, version string, help func() error) (status int, err error) {
	var rest []string
	r.globals, rest, err = parseGlobals(args)
	if err != nil {
		return statusFailed, err
	}
	if r.help || len(rest) == 0 && !r.version || len(rest) == 1 && rest[0] == "help" {
		return 0, help()
	}
	if r.backend, err = findBackend(r.runtime); err != nil {
		return statusFailed, err
	}
	if r.version {
		return r.printVersion(version)
	}
	if r.root == "" {
		if r.root, err = defaultRoot(); err != nil {
			return statusFailed, err
		}
	}
	name := rest[0]
	if name == "restore" {
		return statusFailed, errors.New("restore: a restored container could not be supervised; create a new one")
	}
	if name == "features" && !asksForHelp(rest[1:]) {
		return r.features(version)
	}
	if name == "list" && !asksForHelp(rest[1:]) {
		return r.list(rest)
	}
	if _, ok := options[name]; !ok || asksForHelp(rest[1:]) {
		return r.pass(rest)
	}
	c, err := parseCommand(name, rest[1:])
	if err != nil {
		return statusFailed, err
	}
	switch name {
	case "create", "run":
		return r.create(c)
	case "exec":
		return r.exec(c)
	case "delete":
		return r.delete(c)
	case "kill":
		return r.kill(c)
	case "ps":
		return r.ps(c)
	}
	return r.showState(c)
}

// asksForHelp reports whether the first argument asks for the runtime's help.
func asksForHelp(args []string) bool {
	return len(args) > 0 && (args[0] == "--help" || args[0] == "-h" || args[0] == "-?" || args[0] == "--usage")
}

// printVersion prints the version of this program and of the runtime.
func (r *runtime) printVersion(version string) (int, error) {
	out, err := exec.Command(r.backend.path, "--version").Output()
	if err != nil {
		return statusFailed, fmt.Errorf("%s --version: %w", r.backend.path, err)
	}
	if _, err := fmt.Printf("subuidless-runtime version %s\n%s", version, out); err != nil {
		return statusFailed, err
	}
	return 0, nil
}

// defaultRoot returns the directory for the state of containers if there is no --root.
func defaultRoot() (string, error) {
	const name = "subuidless-runtime"
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, name), nil
	}
	if os.Geteuid() == 0 {
		return filepath.Join("/run", name), nil
	}
	return "", errors.New("no directory for the state of containers: set XDG_RUNTIME_DIR, or give --root")
}

// exists reports whether the runtime has a container with that id.
func (r *runtime) exists(id string) bool {
	_, err := os.Lstat(filepath.Join(r.root, id))
	return err == nil
}

// use makes the runtime of a container the backend. It returns the container's record; ok is
// false if create of this package has not made it.
func (r *runtime) use(id string) (rec record, ok bool, err error) {
	rec, err = loadRecord(stateDir(r.root, id))
	if errors.Is(err, fs.ErrNotExist) {
		return record{Cgroups: true}, false, nil
	}
	if err != nil {
		return rec, false, err
	}
	if _, err := os.Stat(rec.Runtime); err != nil {
		return rec, false, fmt.Errorf("container %s has been created by %s, which is gone: %w (install it again)", id, rec.Runtime, errors.Unwrap(err))
	}
	if r.backend.path != rec.Runtime {
		if r.backend, err = identify(rec.Runtime); err != nil {
			return rec, false, err
		}
	}
	return rec, true, nil
}

// arguments returns the arguments of the runtime for a command, whose container has a cgroup
// or not.
func (r *runtime) arguments(cgroups bool, command ...string) []string {
	args := []string{"--root=" + r.root}
	if r.log != "" {
		args = append(args, "--log="+r.log)
	}
	if r.logFormat != "" {
		args = append(args, "--log-format="+r.logFormat)
	}
	args = append(args, r.passed...)
	switch {
	case cgroups && r.systemdCgroup:
		args = append(args, "--systemd-cgroup")
	case cgroups:
	case r.backend.kind == crun:
		args = append(args, "--cgroup-manager=disabled")
	default:
		args = append(args, "--rootless=true")
	}
	return append(args, command...)
}

// byCgroup are the commands that change the cgroup of a container.
var byCgroup = []string{"pause", "resume", "update"}

// pass executes the runtime for a command that it can execute alone. It returns only if that
// fails.
func (r *runtime) pass(command []string) (int, error) {
	cgroups := true
	for _, arg := range command[1:] {
		rec, ok, err := r.use(arg)
		if err != nil {
			return statusFailed, err
		}
		if ok {
			if !rec.Cgroups && slices.Contains(byCgroup, command[0]) {
				return statusFailed, fmt.Errorf("%s: container %s has no cgroup, because %s does not let this user create cgroups", command[0], rec.ID, cgroupRoot)
			}
			cgroups = rec.Cgroups
			break
		}
	}
	return r.become(r.arguments(cgroups, command...))
}

// become replaces this process by the runtime. It returns only if that fails.
func (r *runtime) become(args []string) (int, error) {
	err := unix.Exec(r.backend.path, append([]string{r.backend.path}, args...), os.Environ())
	return statusFailed, fmt.Errorf("executing %s: %w", r.backend.path, err)
}

// showState executes the command state, and shows the engine's bundle instead of the adapted
// one.
func (r *runtime) showState(c *command) (int, error) {
	rec, ok, err := r.use(c.id)
	if err != nil {
		return statusFailed, err
	}
	args := r.arguments(rec.Cgroups, c.arguments(nil, nil)...)
	if !ok {
		return r.become(args)
	}
	cmd := exec.Command(r.backend.path, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return statusFailed, fmt.Errorf("executing %s: %w", r.backend.path, err)
	}
	_, err = os.Stdout.WriteString(strings.ReplaceAll(string(out), stateDir(r.root, rec.ID), rec.Bundle))
	if err != nil {
		return statusFailed, err
	}
	return 0, nil
}
