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
	ofCgroup     = "a container has a cgroup below that of its caller, or one of systemd"
	ofLimits     = "RUN has the limits of the build itself; systemd-run --user --scope -p MemoryMax=1G subuidless build ... sets some"
	ofDevices    = "--device gives a container the devices that you can use yourself"
	ofRun        = "RUN has only the devices that every user may use"
	ofVolumes    = "a build has no volumes; RUN --mount=type=bind, --mount=type=cache and --build-context give it files"
	ofNamespaces = "a container has namespaces of its own, except for the network, and every id without a map"
)

// refusedFlags says why run and create do not have flags of docker and podman, by their names.
var refusedFlags = map[string]string{
	"publish-all": ofNetwork, "P": ofNetwork, "expose": ofNetwork, "network-alias": ofNetwork, "ip": ofNetwork, "link": ofNetwork,
	"privileged": ofRights, "security-opt": ofRights,
	"cgroup-parent": ofCgroup, "cgroups": ofCgroup,
	"gpus": ofDevices, "device-cgroup-rule": ofDevices,
	"userns": ofNamespaces, "pid": ofNamespaces, "ipc": ofNamespaces, "uts": ofNamespaces, "cgroupns": ofNamespaces, "uidmap": ofNamespaces, "gidmap": ofNamespaces,
}

// refusedBuildFlags is refusedFlags of build.
var refusedBuildFlags = map[string]string{
	"memory": ofLimits, "m": ofLimits, "memory-swap": ofLimits, "cpu-period": ofLimits, "cpu-quota": ofLimits, "cpu-shares": ofLimits, "c": ofLimits, "cpuset-cpus": ofLimits, "cpuset-mems": ofLimits, "cgroup-parent": ofLimits,
	"security-opt": ofRights, "cap-add": ofRights, "cap-drop": ofRights, "allow": ofRights,
	"device": ofRun, "userns": ofNamespaces, "isolation": ofNamespaces,
	"attest": "attestations are not supported; scanners and signers of their own work with the image in a registry",
	"volume": ofVolumes, "v": ofVolumes,
	"format":  "images that are built have the media types of OCI; --output type=docker writes an archive of docker",
	"builder": "there is one builder, which needs no daemon", "timestamp": "--build-arg SOURCE_DATE_EPOCH=SECONDS sets the time of everything that is built",
}

// ExplainBuildFlag is explainFlag for the command build.
func ExplainBuildFlag(err error) error { return explainUnknown(err, refusedBuildFlags) }

// explainFlag adds to an error about a flag of docker or podman why run and create have no such flag.
func explainFlag(err error) error { return explainUnknown(err, refusedFlags) }

func explainUnknown(err error, refused map[string]string) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	if why, found := refused[unknown.GetSpecifiedName()]; found {
		return fmt.Errorf("%w: %s", err, why)
	}
	return err
}
