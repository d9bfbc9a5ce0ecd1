// Package engine runs container engines in sessions. It knows what podman and buildah, which
// share a storage library, have to be told: that the user namespace they find themselves in is
// the one they would have created, whose namespace it is, and which storage driver to use.
package engine

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/rootless-containers/subuidless/internal/launch"
	"github.com/rootless-containers/subuidless/internal/session"
	"github.com/rootless-containers/subuidless/internal/supervisor"
)

// Exec runs the command o.Args, an engine or a program that calls one, in a session: see
// session.Exec. The variables in o.Env are added to those of this process. It sets o.Etc, o.Notice
// and o.Recover.
func Exec(o session.Options) (status int, err error) {
	env := os.Environ()
	for _, variable := range o.Env {
		name, value, _ := strings.Cut(variable, "=")
		env = setVariables(env, [][2]string{{name, value}})
	}
	o.Env = environment(env, os.Geteuid(), os.Getegid())
	names := userNames(os.Getenv, os.Geteuid())
	o.Env = setVariables(o.Env, [][2]string{{"USER", names[0]}})
	ids := subordinateIDs(names)
	o.Etc = map[string]string{"subuid": ids, "subgid": ids}
	if os.Getenv("STORAGE_DRIVER") == "" && !supervisor.Active() {
		s, err := findStorage(os.Getenv)
		if err != nil {
			return launch.StatusFailed, fmt.Errorf("storage of the engine: %w", err)
		}
		var driver string
		if driver, o.Notice = s.chooseDriver(overlayWorks); driver != "" {
			o.Env = setVariables(o.Env, [][2]string{{"STORAGE_DRIVER", driver}})
		}
	}
	o.Recover = recoverContainers
	return session.Exec(o)
}

// recoverContainers returns the command by which podman releases the mounts and networks of
// containers that it had mounted in a namespace that exists no longer.
func recoverContainers(ids []string) []string {
	return append([]string{"podman", "container", "cleanup"}, ids...)
}

// environment returns env with the variables by which rootless podman and buildah tell their
// own second process, in the user namespace that they have created, that it exists and whose
// it is. With them, they use the storage, the runroot and the sockets of the user, and do not
// create another namespace. The interface is internal to them: it has been the same from
// podman 1.6 to 5.
func environment(env []string, uid, gid int) []string {
	return setVariables(env, [][2]string{
		{"_CONTAINERS_USERNS_CONFIGURED", "done"},
		{"_CONTAINERS_ROOTLESS_UID", strconv.Itoa(uid)},
		{"_CONTAINERS_ROOTLESS_GID", strconv.Itoa(gid)},
	})
}

// setVariables returns env with the variables set, given by name and value.
func setVariables(env []string, variables [][2]string) []string {
	env = slices.Clone(env)
	for _, v := range variables {
		env = slices.DeleteFunc(env, func(have string) bool { return strings.HasPrefix(have, v[0]+"=") })
		env = append(env, v[0]+"="+v[1])
	}
	return env
}
