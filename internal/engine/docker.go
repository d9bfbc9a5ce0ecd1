package engine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/rootless-containers/subuidless/internal/launch"
	"github.com/rootless-containers/subuidless/internal/session"
)

// Docker runs the docker command with o.Args, its arguments, in a session.
//
// Docker's command line is only a client. Its server is the one that the user has chosen, else
// the user's dockerd, if it runs, else podman's, which runs in the session as long as it is used:
// it needs neither a private /run nor a network namespace, and no daemon has to be kept for the
// containers. They and the images are those of podman. Without the client, podman itself
// understands the same command line.
func Docker(o session.Options) (status int, err error) {
	client, err := exec.LookPath("docker")
	if err != nil {
		if _, err := exec.LookPath("podman"); err != nil {
			return launch.StatusFailed, errors.New("docker: neither docker nor podman, which understands the same commands, is installed: install one of them, or use subuidless run and build")
		}
		o.Args = append([]string{"podman"}, o.Args...)
		return Exec(o)
	}
	script, err := isScript(client)
	if err != nil {
		return launch.StatusFailed, err
	}
	// Debian's podman-docker is a script that calls podman.
	if !script && !choosesServer(o.Args, os.Getenv) {
		if err := chooseServer(&o); err != nil {
			return launch.StatusFailed, fmt.Errorf("docker: %w", err)
		}
	}
	o.Args = append([]string{"docker"}, o.Args...)
	return Exec(o)
}

// chooseServer sets the server in the options of docker's client.
func chooseServer(o *session.Options) error {
	socket, ok, err := findDockerd(os.Getenv("XDG_RUNTIME_DIR"))
	if err != nil {
		return err
	}
	if ok {
		o.Env = []string{"DOCKER_HOST=unix://" + socket}
		return nil
	}
	if _, err := exec.LookPath("podman"); err != nil {
		start := "install podman, whose server is started when it is needed"
		if _, err := exec.LookPath("dockerd"); err == nil {
			start = "run subuidless dockerd in another shell, or " + start
		}
		return fmt.Errorf("no server is running: %s", start)
	}
	o.Server = &session.Server{
		Socket: "docker.sock",
		Args: func(path string) []string {
			return []string{"podman", "system", "service", "--time", "60", "unix://" + path}
		},
		Env: dockerEnvironment,
	}
	return nil
}

// dockerEnvironment returns env for a client of podman's server, whose socket is path.
func dockerEnvironment(env []string, path string) []string {
	variables := [][2]string{{"DOCKER_HOST", "unix://" + path}}
	if os.Getenv("DOCKER_BUILDKIT") == "" { // podman's server has docker's classic builder only
		variables = append(variables, [2]string{"DOCKER_BUILDKIT", "0"})
	}
	return setVariables(env, variables)
}

// choosesServer reports whether the user has chosen a server: in the environment, or with a
// flag before the first word of the arguments that is none.
func choosesServer(args []string, getenv func(string) string) bool {
	if getenv("DOCKER_HOST") != "" || getenv("DOCKER_CONTEXT") != "" {
		return true
	}
	for _, arg := range args {
		if !strings.HasPrefix(arg, "-") {
			return false
		}
		for _, flag := range []string{"-H", "--host", "-c", "--context"} {
			if strings.HasPrefix(arg, flag) {
				return true
			}
		}
	}
	return false
}

// isScript reports whether a program is a script.
func isScript(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	begin := make([]byte, 2)
	if _, err := f.Read(begin); err != nil {
		return false, err
	}
	return bytes.Equal(begin, []byte("#!")), nil
}
