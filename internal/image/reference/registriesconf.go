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
	"golang.org/x/sys/unix"
)

// Aliases maps short names to complete ones, without a tag: the tables [aliases] of
// containers-registries.conf(5).
type Aliases map[string]string

// Registries is what is used of containers-registries.conf(5). Nil is what there is without
// such a file.
type Registries struct {
	Aliases Aliases
	tables  []registry
}

// registry is a table [[registry]].
type registry struct {
	Prefix  string `toml:"prefix"` // empty: Location
	Blocked bool   `toml:"blocked"`
	// MirrorByDigestOnly means that each mirror has the value digest-only.
	MirrorByDigestOnly bool `toml:"mirror-by-digest-only"`
	host
	Mirrors []mirror `toml:"mirror"`
}

// host is where the images of a registry are.
type host struct {
	Location string `toml:"location"` // what replaces the prefix; empty: the prefix
	Insecure bool   `toml:"insecure"` // it may lack a valid certificate, or TLS
}

type mirror struct {
	host
	// PullFromMirror says for which names the mirror is: all (or empty), digest-only, tag-only.
	PullFromMirror string `toml:"pull-from-mirror"`
}

// registriesFile is the part of a file that is used. Other keys are ignored.
type registriesFile struct {
	Aliases    map[string]string `toml:"aliases"`
	Registries []registry        `toml:"registry"`
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
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.ENOTDIR) {
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
	for _, table := range f.Registries {
		if table.Prefix == "" {
			table.Prefix = table.Location
		}
		if table.Prefix == "" {
			return fmt.Errorf("%s: a table [[registry]] has neither a prefix nor a location", file)
		}
		if table.Location == "" && !isWildcard(table.Prefix) {
			table.Location = table.Prefix
		}
		// A later table replaces the one with the same prefix.
		r.tables = slices.DeleteFunc(r.tables, func(o registry) bool { return o.Prefix == table.Prefix })
		r.tables = append(r.tables, table)
	}
	return nil
}

// Endpoint is a place from which an image can be pulled.
type Endpoint struct {
	Name     string // the complete name of the image there, as in Reference
	Insecure bool   // the registry may lack a valid certificate, or TLS
}

// Home returns the endpoint of the registry itself, and not of a mirror, for a complete name.
// It returns an error if the registry is blocked.
func (r *Registries) Home(full string) (Endpoint, error) {
	table, ok := r.table(full)
	if !ok {
		return Endpoint{Name: full}, nil
	}
	if table.Blocked {
		return Endpoint{}, fmt.Errorf("image %s: registries.conf blocks the registry %s", full, table.Prefix)
	}
	return table.at(full, table.host), nil
}

// Endpoints returns the places to pull an image from, in the order to try them: the mirrors,
// and then Home.
func (r *Registries) Endpoints(full string) ([]Endpoint, error) {
	home, err := r.Home(full)
	if err != nil {
		return nil, err
	}
	var all []Endpoint
	if table, ok := r.table(full); ok {
		byDigest := strings.Contains(full, "@")
		for _, m := range table.Mirrors {
			switch {
			case table.MirrorByDigestOnly || m.PullFromMirror == "digest-only":
				if !byDigest {
					continue
				}
			case m.PullFromMirror == "tag-only":
				if byDigest {
					continue
				}
			}
			all = append(all, table.at(full, m.host))
		}
	}
	return append(all, home), nil
}

// table returns the table with the longest prefix of the complete name.
func (r *Registries) table(full string) (best registry, found bool) {
	if r == nil {
		return best, false
	}
	for _, t := range r.tables {
		if matched(t.Prefix, full) > 0 && (!found || len(t.Prefix) > len(best.Prefix)) {
			best, found = t, true
		}
	}
	return best, found
}

// at returns the endpoint of the complete name, which has the prefix of t, on the host h.
func (t *registry) at(full string, h host) Endpoint {
	e := Endpoint{Name: full, Insecure: h.Insecure}
	if h.Location != "" {
		e.Name = h.Location + full[matched(t.Prefix, full):]
	}
	return e
}

// isWildcard reports whether a prefix is that of all subdomains: *.DOMAIN.
func isWildcard(prefix string) bool { return strings.HasPrefix(prefix, "*.") }

// matched returns the length of the part of the complete name that the prefix matches, or 0.
// It ends where a component of the name ends.
func matched(prefix, full string) int {
	n := len(prefix)
	if isWildcard(prefix) {
		domain, _, _ := strings.Cut(full, "/")
		domain, _, _ = strings.Cut(domain, ":")
		if !strings.HasSuffix(domain, prefix[1:]) {
			return 0
		}
		n = len(domain)
	} else if !strings.HasPrefix(full, prefix) {
		return 0
	}
	if n < len(full) && !strings.ContainsRune("/:@", rune(full[n])) {
		return 0
	}
	return n
}

// expand replaces the name in text, without its tag and digest, by its alias.
func (a Aliases) expand(text string) string {
	short := Repository(text)
	if full, ok := a[short]; ok {
		return full + text[len(short):]
	}
	return text
}
