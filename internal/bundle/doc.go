// Package bundle reads and writes the configuration of an OCI bundle, config.json of
// the runtime specification, so that its container is supervised.
package bundle
