package launch

import (
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// parseDevices parses what ParseDevice accepts.
func parseDevices(specs []string) ([]volume, error) {
	var devices []volume
	for _, spec := range specs {
		d, err := parseDevice(spec)
		if err != nil {
			return nil, fmt.Errorf("device %s: %w", spec, err)
		}
		devices = append(devices, d)
	}
	return devices, nil
}

// ParseDevice checks a device of the host in docker's form, SRC[:DST][:rwm], which the user must be able to
// use: a device node, or a directory with some.
func ParseDevice(spec string) (string, error) {
	_, err := parseDevice(spec)
	return spec, err
}

// SplitDevice returns the parts of what ParseDevice accepts: paths on the host and in the container, and the
// access.
func SplitDevice(spec string) (src, dst, access string) {
	src, rest, _ := strings.Cut(spec, ":")
	dst, access, given := strings.Cut(rest, ":")
	switch {
	case rest == "":
		return src, src, deviceAccess
	case !given && !path.IsAbs(rest):
		return src, src, rest
	case !given:
		return src, dst, deviceAccess
	}
	return src, dst, access
}

// deviceAccess is docker's default: to read, to write and to make the node.
const deviceAccess = "rwm"

func parseDevice(spec string) (volume, error) {
	src, dst, access := SplitDevice(spec)
	if strings.Trim(access, "rwm") != "" || !strings.Contains(access, "r") || !strings.Contains(access, "w") {
		return volume{}, fmt.Errorf("the access %q: must be rw or rwm, because less needs a device cgroup, which only root can set", access)
	}
	if !path.IsAbs(src) || path.Clean(dst) == "/" || !path.IsAbs(dst) {
		return volume{}, fmt.Errorf("must be absolute paths, below / in the container")
	}
	var st unix.Stat_t
	if err := unix.Stat(src, &st); err != nil {
		return volume{}, fmt.Errorf("on the host: %w", err)
	}
	need := uint32(unix.R_OK | unix.W_OK)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFCHR, unix.S_IFBLK:
	case unix.S_IFDIR:
		need = unix.R_OK | unix.X_OK
	default:
		return volume{}, fmt.Errorf("neither a device nor a directory; --volume is for files")
	}
	if err := unix.Faccessat(unix.AT_FDCWD, src, need, unix.AT_EACCESS); err != nil {
		return volume{}, fmt.Errorf("%w: a container can only use devices that you can use yourself, for example as a member of the group %d, which owns it", err, st.Gid)
	}
	return volume{Source: src, Destination: path.Clean(dst)}, nil
}
