package cli

import (
	"fmt"
	"os"
	"strings"
	"unicode"
)

// ReadEnvFiles returns the variables of files of docker's form: lines K=V, or K to pass it through
// from the environment; those that begin with # are comments.
func ReadEnvFiles(names []string) ([]string, error) {
	var env []string
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("--env-file: %w", err)
		}
		number := 0
		for line := range strings.Lines(strings.TrimPrefix(string(content), "\ufeff")) {
			number++
			line = strings.TrimLeftFunc(strings.TrimRight(line, "\r\n"), unicode.IsSpace)
			if line == "" || line[0] == '#' {
				continue
			}
			variable, _, _ := strings.Cut(line, "=")
			if variable == "" || strings.ContainsFunc(variable, unicode.IsSpace) {
				return nil, fmt.Errorf("--env-file: %s:%d: %q is not the name of a variable", name, number, variable)
			}
			env = append(env, line)
		}
	}
	return env, nil
}
