package engine

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/launch"
	"github.com/rootless-containers/subuidless/internal/session"
)

// Dockerd runs docker's server with o.Args, its arguments, in a session, until it ends.
//
// Like docker's own script dockerd-rootless.sh, it starts dockerd by rootlesskit, which gives it
// a /run and a network of its own, and forwards published ports. The script itself refuses to
// run as root, which the user is in a session. The variables that change the script's options
// change these, too.
func Dockerd(o session.Options) (status int, err error) {
	run := os.Getenv("XDG_RUNTIME_DIR")
	if run == "" {
		return launch.StatusFailed, errors.New("dockerd: XDG_RUNTIME_DIR is not set: set it to a directory that is yours alone, which will have docker's socket")
	}
	options, err := rootlesskitOptions(os.Getenv, run)
	if err != nil {
		return launch.StatusFailed, err
	}
	for _, program := range []string{"dockerd", "rootlesskit", "newuidmap"} {
		if _, err := exec.LookPath(program); err != nil {
			return launch.StatusFailed, fmt.Errorf("dockerd: %s is not installed: on Debian, apt-get install docker.io rootlesskit slirp4netns uidmap", program)
		}
	}
	// Rootlesskit fills the new /run with links to what is in that of the host.
	const start = `rm -f /run/docker /run/containerd /run/xtables.lock; exec dockerd "$@"`
	o.Args = append(append(append([]string{"rootlesskit"}, options...), "sh", "-c", start, "dockerd"), o.Args...)
	return Exec(o)
}

// rootlesskitOptions returns the options of rootlesskit for dockerd, whose runtime directory is run.
func rootlesskitOptions(getenv func(string) string, run string) ([]string, error) {
	get := func(name, standard string) string {
		return cmp.Or(getenv("DOCKERD_ROOTLESS_ROOTLESSKIT_"+name), standard)
	}
	network, mtu := get("NET", "slirp4netns"), "1500"
	if network == "host" {
		return nil, errors.New("dockerd: DOCKERD_ROOTLESS_ROOTLESSKIT_NET is host: dockerd needs a network of its own, because the kernel lets only root change the host's")
	}
	if network == "slirp4netns" {
		mtu = "65520"
	}
	options := []string{
		"--state-dir=" + get("STATE_DIR", filepath.Join(run, "dockerd-rootless")),
		"--net=" + network, "--mtu=" + get("MTU", mtu), "--port-driver=" + get("PORT_DRIVER", "builtin"),
		"--slirp4netns-sandbox=" + get("SLIRP4NETNS_SANDBOX", "auto"), "--slirp4netns-seccomp=" + get("SLIRP4NETNS_SECCOMP", "auto"),
		"--copy-up=/etc", "--copy-up=/run", "--propagation=rslave",
	}
	if get("DISABLE_HOST_LOOPBACK", "true") != "false" {
		options = append(options, "--disable-host-loopback")
	}
	return append(options, strings.Fields(get("FLAGS", ""))...), nil
}

// findDockerd returns the socket of the user's dockerd, which Dockerd or dockerd-rootless.sh has
// started; ok is false if there is none. It is an error if the server has one user id only and no
// supervisor: it fails on images that have more.
func findDockerd(run string) (socket string, ok bool, err error) {
	if run == "" {
		return "", false, nil
	}
	socket = filepath.Join(run, "docker.sock")
	pid, ok := listener(socket)
	if !ok {
		return "", false, nil
	}
	proc := "/proc/" + strconv.Itoa(pid)
	maps, err := os.ReadFile(proc + "/uid_map")
	if err != nil {
		return socket, true, nil // it has just ended, and the client says so
	}
	status, err := os.ReadFile(proc + "/status")
	if err != nil {
		return socket, true, nil
	}
	if hasOneID(string(maps)) && strings.Contains(string(status), "\nSeccomp:\t0\n") {
		return "", false, fmt.Errorf("the docker server at %s (process %d) runs without subuidless, and has a single user id: stop it, and run subuidless dockerd instead", socket, pid)
	}
	return socket, true, nil
}

// hasOneID reports whether a user namespace with these maps, the text of /proc/PID/uid_map, has
// one id.
func hasOneID(maps string) bool {
	fields := strings.Fields(maps)
	return len(fields) == 3 && fields[2] == "1"
}

// listener returns the process that listens on a socket; ok is false if there is none.
func listener(socket string) (pid int, ok bool) {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return 0, false
	}
	defer c.Close()
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, false
	}
	var cred *unix.Ucred
	if e := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); e != nil || err != nil {
		return 0, false
	}
	return int(cred.Pid), true
}
