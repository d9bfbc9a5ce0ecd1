package ociruntime

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/bundle"
	"github.com/rootless-containers/subuidless/internal/identity"
	"github.com/rootless-containers/subuidless/internal/launch"
)

// exec executes the command exec: the supervisor of the container adopts the new process.
func (r *runtime) exec(c *command) (status int, err error) {
	rec, ok, err := r.use(c.id)
	if err != nil {
		return statusFailed, err
	}
	args := r.arguments(rec.Cgroups, c.arguments(nil, nil)...)
	if !ok || rec.Supervised {
		return r.become(args)
	}
	init, err := r.initOf(rec)
	if err != nil {
		return statusFailed, err
	}
	if init == 0 {
		return r.become(args) // which reports that the container does not run
	}
	s, err := lockState(stateDir(r.root, c.id), unix.LOCK_EX)
	if errors.Is(err, fs.ErrNotExist) {
		return statusFailed, fmt.Errorf("container %s has just been deleted", c.id)
	}
	if err != nil {
		return statusFailed, err
	}
	child, err := r.startExec(c, s, rec, init)
	if err != nil {
		return statusFailed, err
	}
	status, err = child.wait()
	if err != nil {
		return statusFailed, err
	}
	return status, nil
}

// startExec starts the runtime's exec, and returns when its process is supervised. In any
// case, it releases the lock of s.
func (r *runtime) startExec(c *command, s *state, rec record, init int) (_ *child, err error) {
	defer func() { err = errors.Join(err, s.unlock()) }()
	if err := s.awaitStarter(); err != nil {
		return nil, err
	}
	l, err := s.listen()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	user, args, err := r.asUser(c, s, rec, init)
	if err != nil {
		return nil, err
	}
	args = r.arguments(rec.Cgroups, args...)
	var child *child
	if rec.NewUserNS {
		child, err = r.joinRuntime(args, init, preservedFDs(c))
	} else {
		child, err = r.startRuntime(args, false)
	}
	if err != nil {
		return nil, err
	}
	r.user = user
	err = r.superviseFrom(l, child, s, false)
	if err != nil && !errors.Is(err, errNoListener) {
		_, waitErr := child.wait()
		return nil, errors.Join(err, waitErr)
	}
	return child, nil // without a listener, the runtime has failed and reported why
}

// asUser returns the user of the process that c starts, and the arguments of the runtime with
// which it starts as root: the runtime cannot become any other user, and the supervisor gives
// the program the identity.
func (r *runtime) asUser(c *command, s *state, rec record, init int) (*identity.User, []string, error) {
	home := func(uid uint32) string { return launch.Home("/proc/"+strconv.Itoa(init)+"/root", uid) }
	if file := c.value("process"); file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, nil, fmt.Errorf("the process to execute: %w", err)
		}
		adapted, user, err := bundle.RewriteProcess(text, home)
		if err != nil {
			return nil, nil, fmt.Errorf("%s is not a valid process: %w", file, err)
		}
		if err := os.WriteFile(s.path(processName), adapted, 0o600); err != nil {
			return nil, nil, err
		}
		return identityOf(user), c.arguments([]string{"process"}, []string{"--process=" + s.path(processName)}), nil
	}
	user := rec.User
	var env []string
	if text := c.value("user"); text != "" {
		var err error
		if user, err = parseUser(text, user, r.backend.kind); err != nil {
			return nil, nil, err
		}
		if user.UID != rec.User.UID && r.backend.kind == runc { // crun would set nothing else
			env = []string{"--env=HOME=" + home(user.UID)}
		}
	}
	gids, err := c.flags.GetStringArray("additional-gids")
	if err != nil {
		return nil, nil, err
	}
	for _, text := range gids {
		gid, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, nil, fmt.Errorf("exec: --additional-gids %s: must be a group id", text)
		}
		user.AdditionalGids = append(slices.Clone(user.AdditionalGids), uint32(gid))
	}
	if err := bundle.CheckUser(user); err != nil {
		return nil, nil, fmt.Errorf("exec: %w", err)
	}
	return identityOf(user), c.arguments([]string{"user", "additional-gids"}, env), nil
}

// parseUser parses UID[:GID]. Without a group, runc keeps that of the container's process, and
// crun takes group 0.
func parseUser(text string, user specs.User, k kind) (specs.User, error) {
	uidText, gidText, hasGID := strings.Cut(text, ":")
	uid, err := strconv.ParseUint(uidText, 10, 32)
	gid := uint64(user.GID)
	if k == crun {
		gid = 0
	}
	if err == nil && hasGID {
		gid, err = strconv.ParseUint(gidText, 10, 32)
	}
	if err != nil {
		return user, fmt.Errorf("exec: --user %s: must be UID[:GID]", text)
	}
	user.UID, user.GID = uint32(uid), uint32(gid)
	if k == crun {
		user.AdditionalGids = nil
	}
	return user, nil
}

func identityOf(user specs.User) *identity.User {
	return &identity.User{UID: user.UID, GID: user.GID, AdditionalGids: user.AdditionalGids}
}

// preservedFDs returns how many descriptors after the standard ones the runtime passes to the
// program.
func preservedFDs(c *command) int {
	n, _ := strconv.Atoi(c.value("preserve-fds"))
	listen, _ := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	return n + listen
}

// initOf returns the process id of a container's first process, 0 if it does not run.
func (r *runtime) initOf(rec record) (int, error) {
	cmd := r.silently(rec, "state", rec.ID)
	out, err := cmd.Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return 0, nil // the container does not exist
	}
	if err != nil {
		return 0, fmt.Errorf("executing %s: %w", r.backend.path, err)
	}
	var state specs.State
	if err := json.Unmarshal(out, &state); err != nil {
		return 0, fmt.Errorf("%s state %s: %w", r.backend.path, rec.ID, err)
	}
	if state.Status == specs.StateStopped {
		return 0, nil
	}
	return state.Pid, nil
}
