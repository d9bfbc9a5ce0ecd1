package launch

import (
	"fmt"
	"slices"
	"strings"
)

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment returns the environment of a container's command: defaults, and
// over them the user's K=V, and K, which passes the caller's own value on if it
// has one. Nothing else of the caller's environment is seen inside.
func environment(vars []string, home string, interactive bool, lookup func(string) (string, bool)) ([]string, error) {
	env := []string{"PATH=" + defaultPath, "HOME=" + home}
	if term, ok := lookup("TERM"); ok && interactive {
		env = append(env, "TERM="+term)
	}
	for _, v := range vars {
		name, value, given := strings.Cut(v, "=")
		if name == "" {
			return nil, fmt.Errorf("environment variable %q: it must be NAME=VALUE, or NAME to pass yours on", v)
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
