package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"
)

// What flags of docker and podman mean that run and create do not have.
const (
	ofNetwork    = "a container has the network of the host, so its ports are there, without being published"
	ofRights     = "in a container, root has all capabilities over its own files and namespaces, and none over the host"
	ofLimits     = "limits need a cgroup; systemd-run --user --scope -p MemoryMax=1G subuidless run ... gives one"
	ofDevices    = "a container has only the devices that every user may use"
	ofNamespaces = "a container has namespaces of its own, except for the network, and every id without a map"
	ofUlimits    = "a container has the limits of the caller; ulimit in a shell sets them"
	ofResolver   = "a container has a copy of the host's /etc/resolv.conf; --volume FILE:/etc/resolv.conf shows another file"
)

// refusedFlags says why run and create do not have flags of docker and podman, by their names.
var refusedFlags = map[string]string{
	"publish": ofNetwork, "p": ofNetwork, "publish-all": ofNetwork, "P": ofNetwork, "expose": ofNetwork, "network-alias": ofNetwork, "ip": ofNetwork, "link": ofNetwork,
	"privileged": ofRights, "cap-add": ofRights, "cap-drop": ofRights, "security-opt": ofRights,
	"memory": ofLimits, "m": ofLimits, "memory-swap": ofLimits, "cpus": ofLimits, "cpu-shares": ofLimits, "c": ofLimits, "cpuset-cpus": ofLimits, "pids-limit": ofLimits, "cgroup-parent": ofLimits,
	"device": ofDevices, "gpus": ofDevices, "device-cgroup-rule": ofDevices,
	"userns": ofNamespaces, "pid": ofNamespaces, "ipc": ofNamespaces, "uts": ofNamespaces, "cgroupns": ofNamespaces, "uidmap": ofNamespaces, "gidmap": ofNamespaces,
	"ulimit": ofUlimits, "dns": ofResolver, "dns-search": ofResolver,
}

// explainFlag adds to an error about a flag of docker or podman why there is no such flag.
func explainFlag(err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	if why, found := refusedFlags[unknown.GetSpecifiedName()]; found {
		return fmt.Errorf("%w: %s", err, why)
	}
	return err
}
