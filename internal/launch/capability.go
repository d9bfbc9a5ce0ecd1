package launch

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/capability"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
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

// droppedCapabilities returns which capabilities a container does not have. Add and drop are those of
// ParseCapability. Without them, it has all: the kernel limits them to the container's own files and
// namespaces.
func droppedCapabilities(add, drop []string) (mask cred.Caps, err error) {
	if len(drop) == 0 {
		return 0, nil // without looking at the kernel
	}
	for _, name := range drop {
		if slices.Contains(add, name) {
			return 0, fmt.Errorf("capability %s: cannot be added and dropped", name)
		}
	}
	all := slices.Contains(drop, allCapabilities)
	supported, err := capability.ListSupported()
	if err != nil {
		return 0, fmt.Errorf("the capabilities of this kernel: %w", err)
	}
	for _, c := range supported {
		if name := capabilityName(c); slices.Contains(drop, name) || all && !slices.Contains(add, name) {
			mask |= 1 << c
		}
	}
	return mask, nil
}

// droppedCapabilities returns which capabilities the container of o does not have.
func (o *RunOptions) droppedCapabilities() (cred.Caps, error) {
	mask, err := droppedCapabilities(o.CapAdd, o.CapDrop)
	if mask != 0 && o.Supervisor.NoPermissions {
		return 0, errors.New("capabilities cannot be dropped with --permissions=off, because nothing would check them")
	}
	return mask, err
}

// ofFiles are the capabilities that tasks keep in the kernel, although the supervisor does not let them use
// them: to the kernel, all files belong to one user, who needs them for files that others may use.
const ofFiles cred.Caps = 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH

// toDrop returns which capabilities the stage of a command drops, as a mask in hexadecimal; empty: none.
// Supervised means that the supervisor of the container knows what else the command does not have.
func toDrop(without cred.Caps, supervised bool) string {
	if supervised {
		without &^= ofFiles
	}
	if without == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(without), 16)
}

// dropBounding drops the capabilities in a mask, as toDrop returns it, from the bounding set of this process:
// no program that it executes can get them.
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
