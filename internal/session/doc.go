// Package session runs commands that share one user and one mount namespace, and one
// supervisor: a container engine can then reach with one command what another one has
// started.
//
// The keeper of the supervisor holds the namespaces (supervisor.Enter). There is no other
// process that belongs to the session only. The first command creates the namespaces and the
// supervisor, and the others join. Sessions have names; their state is in directories of
// these names:
//
//	$XDG_RUNTIME_DIR/subuidless/sessions/       locked with flock(2) while a command starts
//	                                     NAME/id-NAME       socket of the keeper
//	                                     NAME/session.json  what outlives the keeper
//	                                     NAME/etc/          files shown in place of those in /etc
//	                                     NAME/log           log of the supervisor
package session
