package reference

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Aliases maps short names to complete ones, without a tag: the tables [aliases] of
// containers-registries.conf(5).
type Aliases map[string]string

// Registries is what is used of containers-registries.conf(5).
type Registries struct {
	Aliases  Aliases
	Insecure []string // prefixes of names whose registry may lack a valid certificate, or TLS
}

// registriesFile is the part of a file that is used. Other keys are ignored.
type registriesFile struct {
	Aliases  map[string]string `toml:"aliases"`
	Registry []struct {
		Prefix   string `toml:"prefix"`
		Location string `toml:"location"`
		Insecure bool   `toml:"insecure"`
	} `toml:"registry"`
}

// ReadRegistries reads the files of registries.conf that exist: those of the system, and
// then those of the user in config, which is $XDG_CONFIG_HOME. Later files win.
func ReadRegistries(etc, config string) (*Registries, error) {
	r := &Registries{Aliases: Aliases{}}
	for _, dir := range []string{filepath.Join(etc, "containers"), filepath.Join(config, "containers")} {
		files, err := filepath.Glob(filepath.Join(dir, "registries.conf.d", "*.conf"))
		if err != nil {
			return nil, err
		}
		slices.Sort(files)
		for _, file := range append([]string{filepath.Join(dir, "registries.conf")}, files...) {
			if err := r.read(file); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

func (r *Registries) read(file string) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	var f registriesFile
	if err := toml.Unmarshal(text, &f); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for short, full := range f.Aliases {
		if full == "" { // an empty alias removes an earlier one
			delete(r.Aliases, short)
			continue
		}
		r.Aliases[short] = full
	}
	for _, registry := range f.Registry {
		if registry.Insecure {
			prefix := registry.Prefix
			if prefix == "" {
				prefix = registry.Location
			}
			r.Insecure = append(r.Insecure, prefix)
		}
	}
	return nil
}

// IsInsecure reports whether the registry of the complete name may lack TLS.
func (r *Registries) IsInsecure(full string) bool {
	return slices.ContainsFunc(r.Insecure, func(prefix string) bool {
		rest, ok := strings.CutPrefix(full, prefix)
		return ok && (rest == "" || strings.ContainsAny(rest[:1], "/:@"))
	})
}

// expand replaces the name in text, without its tag and digest, by its alias.
func (a Aliases) expand(text string) string {
	short := Repository(text)
	if full, ok := a[short]; ok {
		return full + text[len(short):]
	}
	return text
}
