package ociruntime

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"
)

// The annotations of the features, see features.md of the runtime specification: the version of
// this program, and whether containers can be checkpointed, as runc says it.
const (
	versionAnnotation    = "org.rootlesscontaine.rs.subuidless.version"
	checkpointAnnotation = "org.opencontainers.runc.checkpoint.enabled"
)

// features executes the command features: it prints those of the runtime, with version, that of
// this program.
func (r *runtime) features(version string) (int, error) {
	out, err := exec.Command(r.backend.path, "features").Output()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		return statusFailed, fmt.Errorf("executing %s: %w", r.backend.path, err)
	}
	var document map[string]any
	if err != nil || json.Unmarshal(out, &document) != nil {
		// crun knows the command since 1.8.6, and runc since 1.1.
		versions, err := exec.Command(r.backend.path, "--version").Output()
		if err != nil {
			return statusFailed, fmt.Errorf("%s --version: %w", r.backend.path, err)
		}
		if document, err = basicFeatures(r.backend.kind, string(versions)); err != nil {
			return statusFailed, err
		}
	}
	annotations, ok := document["annotations"].(map[string]any)
	if !ok {
		annotations = map[string]any{}
		document["annotations"] = annotations
	}
	annotations[versionAnnotation] = version
	if _, ok := annotations[checkpointAnnotation]; ok {
		annotations[checkpointAnnotation] = "false" // see restore
	}
	text, err := json.MarshalIndent(document, "", "    ")
	if err == nil {
		_, err = fmt.Fprintln(os.Stdout, string(text))
	}
	return failed(err)
}

var (
	programVersion = regexp.MustCompile(`(?m)^\S+ version (\S+)`)
	specVersion    = regexp.MustCompile(`(?m)^spec: (\S+)`)
)

// basicFeatures returns what every runtime of that kind and of the minimum version supports.
// Versions is what it prints with --version. What is left out is unknown.
func basicFeatures(k kind, versions string) (map[string]any, error) {
	f := features.Features{
		OCIVersionMin: "1.0.0",
		OCIVersionMax: "1.0.0",
		Hooks:         []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"},
		Linux: &features.Linux{
			Namespaces: []string{
				string(specs.CgroupNamespace), string(specs.IPCNamespace), string(specs.MountNamespace), string(specs.NetworkNamespace),
				string(specs.PIDNamespace), string(specs.UserNamespace), string(specs.UTSNamespace),
			},
			Seccomp: &features.Seccomp{Enabled: new(true)},
		},
		Annotations: map[string]string{},
	}
	if m := specVersion.FindStringSubmatch(versions); m != nil {
		f.OCIVersionMax = m[1]
	}
	if m := programVersion.FindStringSubmatch(versions); m != nil {
		prefix := "org.opencontainers.runc"
		if k == crun {
			prefix = "run.oci.crun"
		}
		f.Annotations[prefix+".version"] = m[1]
	}
	text, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	var document map[string]any
	return document, json.Unmarshal(text, &document)
}
