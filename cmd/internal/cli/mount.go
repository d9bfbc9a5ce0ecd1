package cli

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/rootless-containers/subuidless/internal/launch"
)

// mountFlags are the flags about mounts besides --volume.
type mountFlags struct {
	mounts []string
	tmpfs  []string
}

func (f *mountFlags) add(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.mounts, "mount", nil, "mount `type=bind|volume|tmpfs,source=SRC,target=DST[,readonly]`; for a tmpfs\nalso tmpfs-size and tmpfs-mode; may be repeated")
	flags.StringArrayVar(&f.tmpfs, "tmpfs", nil, "mount a new tmpfs on `DST[:OPTION,...]`: size=, mode=, ro, exec; may be repeated")
}

// apply adds the mounts to o.
func (f *mountFlags) apply(o *launch.RunOptions) error {
	for _, text := range f.tmpfs {
		m, err := parseTmpfs(text)
		if err != nil {
			return fmt.Errorf("--tmpfs %s: %w", text, err)
		}
		o.Mounts = append(o.Mounts, *m)
	}
	for _, text := range f.mounts {
		if err := applyMount(o, text); err != nil {
			return fmt.Errorf("--mount %s: %w", text, err)
		}
	}
	return nil
}

// parseTmpfs parses DST[:OPTION,...].
func parseTmpfs(text string) (*launch.Mount, error) {
	target, options, _ := strings.Cut(text, ":")
	m := &launch.Mount{Tmpfs: true, NoExec: true}
	var err error
	if m.Target, err = mountTarget(target); err != nil {
		return nil, err
	}
	for option := range strings.SplitSeq(options, ",") {
		key, value, _ := strings.Cut(option, "=")
		switch key {
		case "", "rw", "nosuid", "nodev": // always so
		case "ro":
			m.Readonly = true
		case "exec", "noexec":
			m.NoExec = key == "noexec"
		case "size":
			m.Size, err = ParseBytes(value)
		case "mode":
			m.Mode, err = parseMode(value)
		default:
			err = fmt.Errorf("unknown option %q: must be ro, rw, exec, noexec, nosuid, nodev, size= or mode=", option)
		}
		if err != nil {
			return nil, err
		}
	}
	return m, nil
}

// applyMount adds a mount of docker's form KEY=VALUE,... to o.
func applyMount(o *launch.RunOptions, text string) error {
	kind, source := "volume", ""
	m := launch.Mount{NoExec: true}
	for field := range strings.SplitSeq(text, ",") {
		key, value, given := strings.Cut(field, "=")
		var err error
		switch key {
		case "type":
			kind = value
		case "source", "src":
			source = value
		case "target", "destination", "dst":
			m.Target, err = mountTarget(value)
		case "readonly", "ro":
			m.Readonly = true
			if given {
				m.Readonly, err = strconv.ParseBool(value)
			}
		case "tmpfs-size":
			m.Size, err = ParseBytes(value)
		case "tmpfs-mode":
			m.Mode, err = parseMode(value)
		default:
			err = fmt.Errorf("unknown option %q: must be type, source, target, readonly, tmpfs-size or tmpfs-mode", field)
		}
		if err != nil {
			return err
		}
	}
	switch {
	case m.Target == "":
		return errors.New("target=DST is missing")
	case kind != "tmpfs" && (m.Size != 0 || m.Mode != 0):
		return errors.New("tmpfs-size and tmpfs-mode need type=tmpfs")
	case kind == "tmpfs" && source != "":
		return errors.New("type=tmpfs has no source")
	case kind == "bind" && source == "":
		return errors.New("type=bind needs source=SRC")
	}
	switch kind {
	case "tmpfs":
		m.Tmpfs = true
	case "bind":
		var err error
		if m.Source, err = filepath.Abs(source); err != nil {
			return err
		}
		if _, err := os.Stat(m.Source); err != nil {
			return fmt.Errorf("on the host: %w", err)
		}
	case "volume":
		return applyVolume(o, source, &m)
	default:
		return fmt.Errorf("type=%s: must be bind, volume or tmpfs", kind)
	}
	o.Mounts = append(o.Mounts, m)
	return nil
}

// applyVolume adds a volume with the name, or one without a name, to o.
func applyVolume(o *launch.RunOptions, name string, m *launch.Mount) error {
	switch {
	case strings.ContainsAny(name, "/:"):
		return fmt.Errorf("%q is not the name of a volume; use type=bind for paths", name)
	case strings.Contains(m.Target, ":"):
		return fmt.Errorf("%q has a colon, which the path of a volume cannot have", m.Target)
	}
	spec := m.Target
	if name != "" {
		spec = name + ":" + spec
		if m.Readonly {
			spec += ":ro"
		}
	}
	o.Volumes = append(o.Volumes, spec)
	return nil
}

func mountTarget(text string) (string, error) {
	target := path.Clean(text)
	if !path.IsAbs(text) || target == "/" {
		return "", fmt.Errorf("%q must be an absolute path in the container, below /", text)
	}
	return target, nil
}

// ParseBytes parses a number of bytes: with k, m, g or t a multiple of 1024.
func ParseBytes(text string) (int64, error) {
	number := strings.TrimSuffix(strings.ToLower(text), "b")
	shift := 0
	for i, unit := range []string{"k", "m", "g", "t"} {
		if rest, ok := strings.CutSuffix(number, unit); ok {
			number, shift = rest, 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64>>shift {
		return 0, fmt.Errorf("%q is not a size: must be a number of bytes, such as 64m", text)
	}
	return n << shift, nil
}

func parseMode(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 8, 32)
	if err != nil || n > 0o7777 {
		return 0, fmt.Errorf("%q is not a mode: must be octal, such as 1777", text)
	}
	return uint32(n), nil
}
