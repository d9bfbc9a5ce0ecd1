package cli

import (
	"fmt"
	"os"
	"strings"
	"unicode"
)

// ReadFiles returns the lines of files of docker's form: K=V or K, which the flag takes as its own
// values; those that begin with # are comments.
func ReadFiles(flag string, names []string) ([]string, error) {
	var lines []string
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
		number := 0
		for line := range strings.Lines(strings.TrimPrefix(string(content), "\ufeff")) {
			number++
			line = strings.TrimLeftFunc(strings.TrimRight(line, "\r\n"), unicode.IsSpace)
			if line == "" || line[0] == '#' {
				continue
			}
			key, _, _ := strings.Cut(line, "=")
			if key == "" || strings.ContainsFunc(key, unicode.IsSpace) {
				return nil, fmt.Errorf("%s: %s:%d: %q is not the name of a variable or label", flag, name, number, key)
			}
			lines = append(lines, line)
		}
	}
	return lines, nil
}
