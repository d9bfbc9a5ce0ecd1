package layer

import (
	"errors"
	"fmt"
)

// Limits bound what unpacking one layer can cost. A layer that exceeds one is refused.
type Limits struct {
	Entries int64 // number of entries of the archive
	Bytes   int64 // bytes written to the disk: blocks of zeros are holes and do not count
	Size    int64 // apparent size of one file, in bytes
}

// DefaultLimits are far above those of any image in use.
var DefaultLimits = Limits{Entries: 10_000_000, Bytes: 256 << 30, Size: 1 << 40}

// ErrLimit is wrapped by errors about layers that exceed a limit.
var ErrLimit = errors.New("the layer exceeds a limit of unpacking")

func exceeds(what string, limit int64) error {
	return fmt.Errorf("%w: more than %d %s (subuidless refuses it, because it looks like an attack; check where the image is from)", ErrLimit, limit, what)
}
