package launch

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// volume is a bind mount of a file or directory of the host.
type volume struct {
	Source      string
	Destination string
	Readonly    bool
}

// parseVolumes parses specs of the form SRC:DST[:ro|:rw].
func parseVolumes(specs []string) ([]volume, error) {
	var volumes []volume
	for _, spec := range specs {
		v, err := parseVolume(spec)
		if err != nil {
			return nil, fmt.Errorf("volume %s: %w", spec, err)
		}
		volumes = append(volumes, v)
	}
	return volumes, nil
}

func parseVolume(spec string) (volume, error) {
	parts := strings.Split(spec, ":")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" {
		return volume{}, fmt.Errorf("must be SRC:DST or SRC:DST:ro")
	}
	if len(parts) == 3 && parts[2] != "ro" && parts[2] != "rw" {
		return volume{}, fmt.Errorf("unknown option %q: must be ro or rw", parts[2])
	}
	dst := path.Clean(parts[1])
	if !path.IsAbs(dst) || dst == "/" {
		return volume{}, fmt.Errorf("%q must be an absolute path in the container, below /", parts[1])
	}
	src, err := filepath.Abs(parts[0])
	if err != nil {
		return volume{}, err
	}
	if err := unix.Access(src, unix.F_OK); err != nil {
		return volume{}, fmt.Errorf("%s on the host: %w", src, err)
	}
	return volume{Source: src, Destination: dst, Readonly: len(parts) == 3 && parts[2] == "ro"}, nil
}
