// Package agentproto receives what OCI runtimes send to a seccomp agent: the container
// process state of the runtime specification, with the seccomp listener of a process. It
// also understands the older protocol of crun 0.15 to 0.18.
package agentproto
