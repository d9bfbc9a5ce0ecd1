package doctor

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// engine is a container engine or runtime that subuidless works with.
type engine struct {
	program string
	oldest  string   // version that works, as numbers with dots between them; empty: any
	works   string   // what works: completes a sentence about the program
	line    string   // what to add to a shell's configuration, or to type; empty: nothing
	needs   []string // programs that are alternatives
	why     string   // what does not work if none of needs is installed
}

// engines are all engines, in the order of their checks.
var engines = []engine{
	{
		program: "podman", works: "works completely, in a session", line: "alias podman='subuidless podman'",
		needs: []string{"slirp4netns", "pasta"}, why: "containers have no network except for --network=host and none",
	},
	{program: "buildah", works: "works completely, in a session", line: "alias buildah='subuidless buildah'"},
	{
		program: "docker", works: "the client works, with dockerd or podman's server", line: "alias docker='subuidless docker'",
		needs: []string{"podman", "dockerd"}, why: "subuidless docker has no server",
	},
	{
		program: "dockerd", works: "works in a session, with BuildKit, networks and published ports", line: "subuidless dockerd",
		needs: []string{"rootlesskit"}, why: "subuidless dockerd does not start",
	},
	{
		program: "containerd", works: "works in a session, with CRI too, with subuidless-runtime (docs/engines/containerd.md)",
		line: `BinaryName = "/usr/local/bin/subuidless-runtime"`,
	},
	{
		program: "crun", oldest: "0.19", works: "works, behind subuidless runtime or with an agent",
		line: "subuidless agent ~/.subuidless.sock & subuidless spec --bundle DIR --socket ~/.subuidless.sock",
	},
	{
		program: "runc", oldest: "1.1.0", works: "works, behind subuidless runtime or with an agent",
		line: "subuidless agent ~/.subuidless.sock & subuidless spec --bundle DIR --socket ~/.subuidless.sock",
	},
	{
		program: "rootlesskit", works: "works, in a session", line: "subuidless session exec -- rootlesskit COMMAND",
		needs: []string{"newuidmap"}, why: "rootlesskit cannot map ids",
	},
}

// engineChecks returns the checks for all engines.
func engineChecks() []Check {
	var checks []Check
	for _, e := range engines {
		checks = append(checks, Check{Name: e.program, Weight: Informative, Probe: e.probe})
	}
	return checks
}

// probe reports the version of the engine, what works with it, and how to use it. No engine is
// needed, because of subuidless run.
func (e engine) probe(*Machine) (string, error) {
	path, err := exec.LookPath(e.program)
	if err != nil {
		return "not installed (optional)", nil
	}
	version, err := versionOf(path)
	if err != nil {
		return fmt.Sprintf("%s (version unknown: %v)", path, err), nil
	}
	lines := []string{fmt.Sprintf("%s (%s)", version, path)}
	if e.oldest != "" && older(version, e.oldest) {
		return lines[0] + "\ntoo old: install " + e.oldest + " or later", nil
	}
	lines = append(lines, e.works)
	if e.line != "" {
		lines = append(lines, "use: "+e.line)
	}
	if len(e.needs) > 0 && !anyInstalled(e.needs) {
		lines = append(lines, fmt.Sprintf("without %s, %s", strings.Join(e.needs, " or "), e.why))
	}
	return strings.Join(lines, "\n"), nil
}

// versionPatience is how long a program may take to print its version.
const versionPatience = 5 * time.Second

// versionOf returns the first line that the program prints for --version.
func versionOf(path string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), versionPatience)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return "", err
	}
	first, _, _ := strings.Cut(string(out), "\n")
	if first == "" {
		return "", errors.New("--version prints nothing")
	}
	return first, nil
}

func anyInstalled(programs []string) bool {
	for _, p := range programs {
		if _, err := exec.LookPath(p); err == nil {
			return true
		}
	}
	return false
}

// older reports whether the first version number in text is lower than oldest. A text without
// one is not.
func older(text, oldest string) bool {
	number := regexp.MustCompile(`\d+(\.\d+)+`).FindString(text)
	if number == "" {
		return false
	}
	has, wants := strings.Split(number, "."), strings.Split(oldest, ".")
	for i := range min(len(has), len(wants)) {
		h, err1 := strconv.Atoi(has[i])
		w, err2 := strconv.Atoi(wants[i])
		if err1 != nil || err2 != nil || h != w {
			return err1 == nil && err2 == nil && h < w
		}
	}
	return len(has) < len(wants)
}
