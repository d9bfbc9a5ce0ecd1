package bundle

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/rootless-containers/subuidless/internal/syscalls"
)

// rewriteSeccomp adds rules for rows to the seccomp profile, and creates the profile if there
// is none.
func rewriteSeccomp(linux *jsonObject, opts Options, rows []syscalls.Row) error {
	var raw jsonObject
	if err := linux.get("seccomp", &raw); err != nil {
		return err
	}
	if len(raw) == 0 {
		if err := raw.set("defaultAction", specs.ActAllow); err != nil {
			return err
		}
	}
	if err := rewriteProfile(&raw, opts, rows); err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	return linux.set("seccomp", raw)
}

func rewriteProfile(raw *jsonObject, opts Options, rows []syscalls.Row) error {
	text, err := encode(raw)
	if err != nil {
		return err
	}
	var sec specs.LinuxSeccomp
	if err := json.Unmarshal(text, &sec); err != nil {
		return err
	}
	if err := setListenerPath(raw, &sec, opts.Socket); err != nil {
		return err
	}
	if opts.WaitKillable && !slices.Contains(sec.Flags, specs.LinuxSeccompFlagWaitKillableRecv) {
		if sec.Flags == nil {
			// The flags that the runtimes use if none are set.
			sec.Flags = []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagSpecAllow}
		}
		if err := raw.set("flags", append(sec.Flags, specs.LinuxSeccompFlagWaitKillableRecv)); err != nil {
			return err
		}
	}
	e, err := injection(&sec, rows)
	if err != nil {
		return err
	}
	if err := raw.set("architectures", e.architectures); err != nil {
		return err
	}
	syscalls, err := e.applyTo(*raw)
	if err != nil {
		return err
	}
	return raw.set("syscalls", syscalls)
}

// setListenerPath sets the path of the agent's socket in a profile, unless it is empty. It is
// an error if the profile, which sec is as well, has that of another agent.
func setListenerPath(raw *jsonObject, sec *specs.LinuxSeccomp, socket string) error {
	if socket == "" {
		return nil
	}
	if sec.ListenerPath != "" && sec.ListenerPath != socket {
		return fmt.Errorf("listenerPath already names another seccomp agent, %s, but a container can have only one: remove listenerPath from the configuration to use %s", sec.ListenerPath, socket)
	}
	return raw.set("listenerPath", socket)
}

// applyTo returns the rules of profile after the edit. Rules that are kept preserve members
// that specs-go does not know.
func (e *edit) applyTo(profile jsonObject) ([]any, error) {
	var old []jsonObject
	if err := profile.get("syscalls", &old); err != nil {
		return nil, err
	}
	var syscalls []any
	for _, rule := range e.added {
		syscalls = append(syscalls, rule)
	}
	for i, names := range e.kept {
		if len(names) == 0 {
			continue
		}
		if err := old[i].set("names", names); err != nil {
			return nil, err
		}
		syscalls = append(syscalls, old[i])
	}
	return syscalls, nil
}
