package launch

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/capability"
	"golang.org/x/sys/unix"
)

// allCapabilities is what --cap-add and --cap-drop call all capabilities.
const allCapabilities = "ALL"

// ParseCapability checks the name of a capability as docker writes it, with or without CAP_ and in any case,
// or ALL, and returns it as in capabilities(7).
func ParseCapability(text string) (string, error) {
	name := strings.TrimPrefix(strings.ToUpper(text), "CAP_")
	if name == allCapabilities {
		return name, nil
	}
	if !slices.ContainsFunc(capability.ListKnown(), func(c capability.Cap) bool { return capabilityName(c) == "CAP_"+name }) {
		return "", fmt.Errorf("%q: must be ALL or one of capabilities(7)", text)
	}
	return "CAP_" + name, nil
}

func capabilityName(c capability.Cap) string { return "CAP_" + strings.ToUpper(c.String()) }

// droppedCapabilities returns which capabilities a container does not have, as a mask in hexadecimal; empty:
// it has all. Add and drop are those of ParseCapability. Without them, it has all: the kernel limits them
// to the container's own files and namespaces.
func droppedCapabilities(add, drop []string) (string, error) {
	for _, name := range drop {
		if slices.Contains(add, name) {
			return "", fmt.Errorf("capability %s: cannot be added and dropped", name)
		}
	}
	all := slices.Contains(drop, allCapabilities)
	supported, err := capability.ListSupported()
	if err != nil {
		return "", fmt.Errorf("the capabilities of this kernel: %w", err)
	}
	var mask uint64
	for _, c := range supported {
		if name := capabilityName(c); slices.Contains(drop, name) || all && !slices.Contains(add, name) {
			mask |= 1 << c
		}
	}
	if mask == 0 {
		return "", nil
	}
	return strconv.FormatUint(mask, 16), nil
}

// droppedCapabilities returns which capabilities the container of o does not have.
func (o *RunOptions) droppedCapabilities() (string, error) {
	mask, err := droppedCapabilities(o.CapAdd, o.CapDrop)
	if mask != "" && o.Supervisor.NoPermissions {
		return "", errors.New("capabilities cannot be dropped with --permissions=off, because nothing would check them")
	}
	return mask, err
}

// dropBounding drops the capabilities in a mask, as droppedCapabilities returns it, from the bounding set of
// this process: no program that it executes can get them.
func dropBounding(text string) (mask uint64, err error) {
	if text == "" {
		return 0, nil
	}
	if mask, err = strconv.ParseUint(text, 16, 64); err != nil {
		return 0, err
	}
	for _, c := range capability.ListKnown() {
		if mask>>c&1 == 0 {
			continue
		}
		if err := capability.DropBound(c); err != nil {
			return 0, fmt.Errorf("dropping %s: prctl(PR_CAPBSET_DROP): %w", capabilityName(c), err)
		}
	}
	return mask, nil
}

// dropCapabilities drops the capabilities in a mask from the other sets.
func dropCapabilities(mask uint64) error {
	if mask == 0 {
		return nil
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return fmt.Errorf("capget: %w", err)
	}
	for i := range sets {
		kept := ^uint32(mask >> (32 * i))
		sets[i].Effective &= kept
		sets[i].Permitted &= kept
		sets[i].Inheritable &= kept
	}
	if err := unix.Capset(&header, &sets[0]); err != nil {
		return fmt.Errorf("capset: %w", err)
	}
	return nil
}
