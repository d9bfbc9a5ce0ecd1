package owner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// SidecarVariable is the environment variable that names the sidecar.
const SidecarVariable = "SUBUIDLESS_SIDECAR"

// systemConfig is the directory of the administrator's configuration.
const systemConfig = "/etc"

// DefaultSidecar returns the path of the calling user's sidecar. The first of these names it:
//
//   - $SUBUIDLESS_SIDECAR;
//   - the file subuidless/sidecar in $XDG_CONFIG_HOME or ~/.config, then in /etc: see readConfig;
//   - subuidless/sidecar in $XDG_STATE_HOME or ~/.local/state.
//
// It fails if what is configured is not an absolute path, and if neither a variable nor a file
// names a directory.
func DefaultSidecar() (string, error) { return defaultSidecar(systemConfig) }

func defaultSidecar(system string) (string, error) {
	if dir := os.Getenv(SidecarVariable); dir != "" {
		if !filepath.IsAbs(dir) {
			return "", fmt.Errorf("%s is %q; set it to an absolute path", SidecarVariable, dir)
		}
		return dir, nil
	}
	configs := []string{system}
	if own, err := userDirectory("XDG_CONFIG_HOME", ".config"); err == nil {
		configs = []string{own, system}
	}
	for _, config := range configs {
		dir, err := readConfig(filepath.Join(config, "subuidless", "sidecar"))
		if dir != "" || err != nil {
			return dir, err
		}
	}
	state, err := userDirectory("XDG_STATE_HOME", ".local/state")
	if err != nil {
		return "", fmt.Errorf("no directory for the owners of symbolic links and devices: %w (set HOME, XDG_STATE_HOME or %s, or use --sidecar)", err, SidecarVariable)
	}
	return filepath.Join(state, "subuidless", "sidecar"), nil
}

// userDirectory returns the value of the environment variable, or the directory fallback in the
// user's home. The XDG Base Directory Specification: "If an implementation encounters a relative
// path in any of these variables it should consider the path invalid and ignore it."
func userDirectory(variable, fallback string) (string, error) {
	if dir := os.Getenv(variable); filepath.IsAbs(dir) {
		return dir, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, fallback), nil
}

// readConfig returns the directory that a file of configuration names, in its first line that is
// neither empty nor a comment (#). $NAME and ${NAME} in it are environment variables. The result
// is "" if the file does not exist, or names none.
func readConfig(file string) (string, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading where the sidecar is: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		var unset []string
		dir := os.Expand(line, func(name string) string {
			value := os.Getenv(name)
			if value == "" {
				unset = append(unset, name)
			}
			return value
		})
		if len(unset) > 0 {
			return "", fmt.Errorf("%s names the sidecar %s, but %s is not set in the environment", file, line, strings.Join(unset, ", "))
		}
		if !filepath.IsAbs(dir) {
			return "", fmt.Errorf("%s names the sidecar %q; write an absolute path", file, dir)
		}
		return dir, nil
	}
	return "", nil
}
