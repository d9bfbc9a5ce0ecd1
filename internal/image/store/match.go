package store

import (
	"strings"
	"time"
)

// HasLabel reports whether labels have what a filter of docker asks for, KEY or KEY=VALUE.
func HasLabel(labels map[string]string, wanted string) bool {
	key, value, given := strings.Cut(wanted, "=")
	has, ok := labels[key]
	return ok && (!given || has == value)
}

// Match reports whether something with these labels, made at this time, may be removed. Nil: anything
// may.
type Match func(labels map[string]string, created time.Time) bool

func (m Match) fits(labels map[string]string, created time.Time) bool {
	return m == nil || m(labels, created)
}
