package launch

import (
	"fmt"
	"slices"
	"strings"
)

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment returns the environment of a container's command: defaults, overridden by
// vars. An element K=V sets a variable; an element K passes the caller's value through, if
// lookup has one. Nothing else of the caller's environment reaches the container.
func environment(vars []string, home string, interactive bool, lookup func(string) (string, bool)) ([]string, error) {
	env := []string{"PATH=" + defaultPath, "HOME=" + home}
	if term, ok := lookup("TERM"); ok && interactive {
		env = append(env, "TERM="+term)
	}
	for _, v := range vars {
		name, value, given := strings.Cut(v, "=")
		if name == "" {
			return nil, fmt.Errorf("environment variable %q: must be NAME=VALUE, or NAME to pass it through", v)
		}
		if !given {
			if value, given = lookup(name); !given {
				continue
			}
		}
		env = slices.DeleteFunc(env, func(have string) bool { return strings.HasPrefix(have, name+"=") })
		env = append(env, name+"="+value)
	}
	return env, nil
}

// variable returns the value of a variable in env; empty: it has none.
func variable(env []string, name string) string {
	for _, v := range env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}
