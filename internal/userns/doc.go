// Package userns starts programs in existing user namespaces without cgo, reads id maps, and
// explains why this machine forbids a user namespace.
package userns
